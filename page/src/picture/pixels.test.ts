import { expect, test } from "vitest";
import { channelValues, layoutOf, paint } from "./pixels";

test("maps have an image for each channel, and a vector is one image", () => {
  expect(layoutOf([null, 14, 7, 64])).toMatchObject({ kind: "maps", width: 7, height: 14 });
  expect(layoutOf([1, 16, 7, 7, 64])).toMatchObject({ kind: "video", frames: 16, frame: 8 });
  expect(layoutOf([1, 1, 1, 10])).toMatchObject({ kind: "vector", width: 4, height: 3 });
  expect(layoutOf([1, 1001])).toMatchObject({ kind: "vector", width: 32, channels: 1 });
});

test("the values of one channel of one row are taken in order", () => {
  const values = Float32Array.from({ length: 2 * 2 * 2 * 3 }, (_, index) => index);
  const array = { shape: [2, 2, 2, 3], values };
  expect([...channelValues(array, layoutOf(array.shape), 1, 2)]).toEqual([14, 17, 20, 23]);
});

test("the frame in the middle of a video is taken", () => {
  const values = Float32Array.from({ length: 3 * 4 }, (_, index) => index);
  const array = { shape: [1, 3, 2, 2, 1], values };
  expect([...channelValues(array, layoutOf(array.shape), 0, 0)]).toEqual([4, 5, 6, 7]);
});

test("a vector is wrapped, and the places beyond its end are transparent", () => {
  const array = { shape: [1, 3], values: Float32Array.from([1, 2, 3]) };
  const painted = paint(channelValues(array, layoutOf(array.shape), 0, 0), "grey");
  expect([...painted.pixels]).toEqual([
    0, 0, 0, 255, 128, 128, 128, 255, 255, 255, 255, 255, 0, 0, 0, 0,
  ]);
});

test("values that are not finite are counted, and do not change the range", () => {
  const painted = paint(Float32Array.from([Number.NaN, 2, 4, Number.POSITIVE_INFINITY]), "viridis");
  expect(painted).toMatchObject({ min: 2, max: 4, notFinite: 2 });
  expect([...painted.pixels.slice(4, 8)]).toEqual([68, 1, 84, 255]);
});

test("a channel of one value, or of none, is painted", () => {
  expect(paint(Float32Array.from([5, 5]), "grey")).toMatchObject({ min: 5, max: 5 });
  expect(paint(Float32Array.from([Number.NaN]), "grey")).toMatchObject({ min: Number.NaN });
});
