/** Numbers, shapes and values as the page shows them. */

const THIN_SPACE = " ";
const grouped = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const digits3 = new Intl.NumberFormat("en", { maximumSignificantDigits: 3, useGrouping: false });

/** Returns a whole number with all its digits, in groups of three. */
export function exact(value: number): string {
  return grouped.format(value).replaceAll(",", THIN_SPACE);
}

/** Returns a count in three digits and a unit: 5.72 G. Show `exact` in its title. */
export function short(value: number): string {
  return scaled(value, 1000, ["", "k", "M", "G", "T"]);
}

/** Returns a size in three digits: 109 MB, in powers of 1000 as disks and networks count. */
export function bytes(value: number): string {
  return scaled(value, 1000, ["B", "kB", "MB", "GB", "TB"]);
}

/** Returns a time in three digits: 1.52 ms, 2.76 s. */
export function seconds(value: number): string {
  return value < 0.9995
    ? `${digits3.format(1000 * value)}${THIN_SPACE}ms`
    : `${digits3.format(value)}${THIN_SPACE}s`;
}

function scaled(value: number, base: number, units: readonly string[]): string {
  let size = value;
  let unit = 0;
  // 999.5 would be shown as 1000.
  while (Math.abs(size) >= 0.9995 * base && unit < units.length - 1) {
    size /= base;
    unit += 1;
  }
  const number = digits3.format(size);
  return units[unit] ? `${number}${THIN_SPACE}${units[unit]}` : number;
}

/** Returns a difference with its sign, "±0" if there is none. */
export function signed(value: number, format: (value: number) => string): string {
  if (value === 0) return "±0";
  return `${value > 0 ? "+" : "−"}${format(Math.abs(value))}`;
}

/** Returns a shape as N×299×299×3; a null is the batch, or a size that is not known. */
export function shape(sizes: readonly (number | null)[]): string {
  return sizes.map((size, index) => size ?? (index === 0 ? "N" : "?")).join("×");
}

/** The service refuses JSON that is nested deeper; what is inside is left out, not walked into. */
const MAX_DEPTH = 64;

/** Returns a value of an argument in one line, as the wire format writes it, a function as a call. */
export function value(each: unknown, depth = 0): string {
  if (typeof each === "string") return each;
  if (typeof each !== "object" || each === null) return String(each);
  if (depth > MAX_DEPTH) return "…";
  const inner = (item: unknown) => value(item, depth + 1);
  if (Array.isArray(each)) return `[${each.map(inner).join(", ")}]`;
  const { name, ...others } = each as Record<string, unknown>;
  const [members, mark] =
    typeof name === "string" ? ([others, "="] as const) : ([each, ": "] as const);
  const listed = Object.entries(members).map(([key, item]) => `${key}${mark}${inner(item)}`);
  return typeof name === "string" ? `${name}(${listed.join(", ")})` : `{${listed.join(", ")}}`;
}

/** Returns a count with its noun: 1 layer, 12 layers. */
export function counted(count: number, noun: string): string {
  return `${exact(count)} ${noun}${count === 1 ? "" : "s"}`;
}
