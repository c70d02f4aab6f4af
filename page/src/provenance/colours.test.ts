/** The colours of setters can be told apart by every kind of eye, and seen on the page. */

import { describe, expect, test } from "vitest";
import settersCss from "../style/setters.css?raw";
import tokensCss from "../style/tokens.css?raw";
import { contrast, difference, lab, linearRgb, seen, VISIONS } from "./colour";
import { LEVEL_COLOURS } from "./setters";

/**
 * The least difference between two setters' colours, by CIEDE2000.
 *
 * About 1 can just be seen where two large fields touch. Marks are narrow and stand apart, so they
 * need many times that. The palette was searched for the largest distance at this contrast that
 * keeps familiar hues: nine colours reach 11.8 in all four visions, in both schemes.
 */
const LEAST_DIFFERENCE = 11;
/** WCAG 2.1, success criterion 1.4.11, non-text contrast. */
const LEAST_CONTRAST = 3;

/** Returns the colours that a style sheet names, light and dark. */
function colours(css: string, prefix: string): Map<string, readonly [string, string]> {
  const named = new RegExp(
    `--(${prefix}[a-z0-9-]*): light-dark\\((#[0-9a-f]{6}), (#[0-9a-f]{6})\\)`,
    "g",
  );
  return new Map(
    [...css.matchAll(named)].map(([, name = "", light = "", dark = ""]) => [name, [light, dark]]),
  );
}

const surface = colours(tokensCss, "surface").get("surface");
const all = colours(settersCss, "set-by-");
// Other code sets nothing in builds of the service; it shares the network's colour, not its letter.
const setters = [...all].filter(([name]) => name !== "set-by-code");

test("every setter has a colour", () => {
  const levels = Array.from({ length: LEVEL_COLOURS }, (_, level) => `set-by-level-${level}`);
  expect([...all.keys()].sort()).toEqual(
    ["set-by-code", "set-by-default", "set-by-default-scope", ...levels, "set-by-network"].sort(),
  );
});

describe.each(["light", "dark"])("%s", (scheme) => {
  const at = scheme === "light" ? 0 : 1;

  test.each(Object.entries(VISIONS))("setters are told apart with %s vision", (_, vision) => {
    const labs = setters.map(
      ([name, pair]) => [name, lab(seen(linearRgb(pair[at]), vision))] as const,
    );
    const close = labs.flatMap(([name, colour], index) =>
      labs
        .slice(index + 1)
        .map(([other, others]) => ({ name, other, by: difference(colour, others) }))
        .filter(({ by }) => by < LEAST_DIFFERENCE),
    );
    expect(close).toEqual([]);
  });

  test("setters stand out from the surface", () => {
    const ground = linearRgb(surface?.[at] ?? "");
    const faint = setters
      .map(([name, pair]) => ({ name, ratio: contrast(linearRgb(pair[at]), ground) }))
      .filter(({ ratio }) => ratio < LEAST_CONTRAST);
    expect(faint).toEqual([]);
  });
});

/** From the table of test data in the paper on CIEDE2000. */
test.each([
  [[50, 2.6772, -79.7751], [50, 0, -82.7485], 2.0425],
  [[50, 0, 0], [50, -1, 2], 2.3669],
  [[50, 2.5, 0], [73, 25, -18], 27.1492],
  [[2.0776, 0.0795, -1.135], [0.9033, -0.0636, -0.5514], 0.9082],
] as const)("the difference of %j and %j is %d", (a, b, expected) => {
  expect(difference(a, b)).toBeCloseTo(expected, 4);
});

test("black on white has the largest contrast", () => {
  expect(contrast(linearRgb("#000000"), linearRgb("#ffffff"))).toBeCloseTo(21, 3);
});
