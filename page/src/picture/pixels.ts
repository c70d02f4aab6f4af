/** From the values of an end point to the pixels of small images, one for each channel. */

import type { NpyArray } from "./npy";

export type Colours = "grey" | "viridis";

/** How an end point becomes images: maps have one for each channel, a vector is one image. */
export interface Layout {
  readonly kind: "maps" | "video" | "vector";
  readonly width: number;
  readonly height: number;
  readonly channels: number;
  /** Of a video, how many frames there are, and which one is shown. */
  readonly frames: number;
  readonly frame: number;
}

export interface Painted {
  readonly pixels: Uint8ClampedArray<ArrayBuffer>;
  /** The range that the colours span; NaN if no value is finite. */
  readonly min: number;
  readonly max: number;
  readonly notFinite: number;
}

/** `shape` is that of the end point with its rows: (N, H, W, C), (N, T, H, W, C) or (N, ...). */
export function layoutOf(shape: readonly (number | null)[]): Layout {
  const sizes = shape.slice(1).map((size) => size ?? 1);
  const [channels = 1, width = 1, height = 1, frames = 1] = sizes.toReversed();
  if (width * height > 1 && (sizes.length === 3 || sizes.length === 4)) {
    const kind = sizes.length === 3 ? "maps" : "video";
    return { kind, width, height, channels, frames, frame: Math.floor(frames / 2) };
  }
  const count = sizes.reduce((product, size) => product * size, 1);
  const side = Math.ceil(Math.sqrt(count));
  const rows = Math.ceil(count / Math.max(1, side));
  return { kind: "vector", width: side, height: rows, channels: 1, frames: 1, frame: 0 };
}

/** Returns the values of one image, row by row; places of a vector's image beyond its end are NaN. */
export function channelValues(
  array: NpyArray,
  layout: Layout,
  row: number,
  channel: number,
): Float32Array {
  const size = layout.width * layout.height;
  const each = array.shape.slice(1).reduce((product, length) => product * length, 1);
  const plane = new Float32Array(size).fill(Number.NaN);
  const begin = row * each + layout.frame * size * layout.channels + channel;
  const count = layout.kind === "vector" ? Math.min(size, each) : size;
  for (let index = 0; index < count; index += 1) {
    plane[index] = array.values[begin + index * layout.channels] ?? Number.NaN;
  }
  return plane;
}

/** Returns values as pixels, from the least to the greatest; what is not finite is transparent. */
export function paint(values: Float32Array, colours: Colours): Painted {
  let min = Number.POSITIVE_INFINITY;
  let max = Number.NEGATIVE_INFINITY;
  let notFinite = 0;
  for (const value of values) {
    if (!Number.isFinite(value)) {
      notFinite += 1;
      continue;
    }
    if (value < min) min = value;
    if (value > max) max = value;
  }
  const table = TABLES[colours];
  const scale = max > min ? 255 / (max - min) : 0;
  const pixels = new Uint8ClampedArray(values.length * 4);
  values.forEach((value, index) => {
    if (!Number.isFinite(value)) return;
    const entry = 3 * Math.round((value - min) * scale);
    pixels[4 * index] = table[entry] ?? 0;
    pixels[4 * index + 1] = table[entry + 1] ?? 0;
    pixels[4 * index + 2] = table[entry + 2] ?? 0;
    pixels[4 * index + 3] = 255;
  });
  if (max < min) return { pixels, min: Number.NaN, max: Number.NaN, notFinite };
  return { pixels, min, max, notFinite };
}

// Viridis at nine places: its lightness rises evenly, so that it reads alike with any colour vision.
const VIRIDIS = [
  [68, 1, 84],
  [71, 44, 122],
  [59, 81, 139],
  [44, 113, 142],
  [33, 144, 141],
  [39, 173, 129],
  [92, 200, 99],
  [170, 220, 50],
  [253, 231, 37],
] as const;

const TABLES: Readonly<Record<Colours, Uint8Array>> = {
  grey: Uint8Array.from({ length: 768 }, (_, index) => Math.floor(index / 3)),
  viridis: Uint8Array.from({ length: 768 }, (_, index) => {
    const place = (Math.floor(index / 3) / 255) * (VIRIDIS.length - 1);
    const below = VIRIDIS[Math.floor(place)] ?? VIRIDIS[0];
    const above = VIRIDIS[Math.ceil(place)] ?? below;
    const [from = 0, to = 0] = [below[index % 3], above[index % 3]];
    return Math.round(from + (to - from) * (place % 1));
  }),
};
