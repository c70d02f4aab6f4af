import { expect, test } from "vitest";
import { significant } from "./significant";

test("numbers of any size are written in three digits", () => {
  const numbers = [0, 0.5123, 12.345, 98765, 1234567, 0.000704, 3.5055e-16, -2e-9, Number.NaN];
  expect(numbers.map(significant)).toEqual([
    "0",
    "0.512",
    "12.3",
    "98800",
    "1.23e6",
    "7.04e-4",
    "3.51e-16",
    "-2e-9",
    "NaN",
  ]);
});
