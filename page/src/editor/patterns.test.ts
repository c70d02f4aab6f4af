import { describe, expect, it } from "vitest";
import { fits } from "./patterns";

describe("a pattern", () => {
  it.each([
    ["a/b", "a*", true],
    ["a/b/c", "*/c", true],
    ["ab", "a?", false],
    ["a[1]", "a[1]", true],
    ["aXbXc", "a*X*c", true],
    ["aXc", "aX*Xc", false],
    ["abc", "*b", false],
    ["aa", "aa*aa", false],
    ["x", "*", true],
  ])("of %s: %s fits: %s", (name, pattern, fit) => {
    expect(fits(name, pattern)).toBe(fit);
  });
});
