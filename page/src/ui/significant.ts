/** Numbers of any size in three digits. */

/** Returns a number in three significant digits, small and large ones with an exponent: 3.5e-16. */
export function significant(value: number): string {
  return String(Number(value.toPrecision(3)));
}
