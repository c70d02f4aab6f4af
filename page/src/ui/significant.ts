/** Numbers of any size in three digits. */

/** Returns a number in three significant digits, small and large ones with an exponent: 3.5e-16. */
export function significant(value: number): string {
  const rounded = Number(value.toPrecision(3));
  const size = Math.abs(rounded);
  if (size !== 0 && (size < 1e-3 || size >= 1e6)) {
    return rounded.toExponential().replace("e+", "e");
  }
  return String(rounded);
}
