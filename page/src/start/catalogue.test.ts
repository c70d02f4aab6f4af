import { describe, expect, test } from "vitest";
import { type Architecture, count, type Filter, families, selected } from "./catalogue";

const ALL = [
  ["resnet_v1_200", "resnet", 64_849_832, 14_400_552_960],
  ["resnet_v1_50", "resnet", 25_610_152, 3_482_255_360],
  ["mobilenet_v1", "mobilenet", 4_254_889, 568_741_376],
  ["lenet", undefined, 3_274_634, 13_883_904],
].map(([name, family, parameters, multiply_adds]) => ({
  name,
  ...(family !== undefined && { family }),
  parameters,
  multiply_adds,
  source: "arXiv:1512.03385, Table 1",
})) as unknown as readonly Architecture[];

const ANY = { from: null, to: null };
const ALL_FIT: Filter = { text: "", family: "", parameters: ANY, multiply_adds: ANY };

function names(filter: Partial<Filter>, by: "name" | "parameters" = "name", descending = false) {
  return selected(ALL, { ...ALL_FIT, ...filter }, { by, descending }).map(({ name }) => name);
}

describe("the catalogue", () => {
  test("is searched by words of the name and the family, with spaces for underscores", () => {
    expect(names({ text: "resnet V1" })).toEqual(["resnet_v1_50", "resnet_v1_200"]);
    expect(names({ text: "v1 mobile" })).toEqual(["mobilenet_v1"]);
    expect(names({ text: "vgg" })).toEqual([]);
  });

  test("is limited to a family, and to ranges whose ends belong to them", () => {
    expect(names({ family: "mobilenet" })).toEqual(["mobilenet_v1"]);
    expect(names({ parameters: { from: 4_254_889, to: 25_610_152 } })).toEqual([
      "mobilenet_v1",
      "resnet_v1_50",
    ]);
    expect(names({ multiply_adds: { from: null, to: 1e9 } })).toEqual(["lenet", "mobilenet_v1"]);
  });

  test("is sorted by number, and by name with its numbers as numbers", () => {
    expect(names({}, "parameters", true)[0]).toBe("resnet_v1_200");
    expect(names({})).toEqual(["lenet", "mobilenet_v1", "resnet_v1_50", "resnet_v1_200"]);
  });

  test("names each family once", () => {
    expect(families(ALL)).toEqual(["mobilenet", "resnet"]);
  });
});

test.each([
  ["", null],
  ["5M", 5e6],
  ["1.5 g", 1.5e9],
  ["25 600 000", 25_600_000],
  ["2,000k", 2e6],
  ["5e6", 5e6],
  ["many", undefined],
  ["-1", undefined],
])("%j is the count %s", (text, value) => {
  expect(count(text)).toBe(value);
});
