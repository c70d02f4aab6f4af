/** The values of an axis, as they are typed and as the wire format writes them. */

import { exact } from "../ui/format";
import { isNumeric, type Place } from "./places";
import type { Json } from "./pointers";

export type ValuesKind = "choices" | "list" | "steps" | "spaced" | "draws" | "glob";

/** What is typed for each kind; that of the kinds that are not chosen stays for a change of mind. */
export interface AxisValues {
  readonly kind: ValuesKind;
  readonly chosen: readonly Json[];
  /** Values beside the choices, such as a function with arguments of its own. */
  readonly more: string;
  readonly list: string;
  readonly start: string;
  readonly stop: string;
  readonly step: string;
  readonly count: string;
  readonly isLog: boolean;
  readonly distribution: Distribution;
  readonly q: string;
  readonly glob: string;
  readonly exclude: string;
}

export const DISTRIBUTIONS = [
  "uniform",
  "int_uniform",
  "q_uniform",
  "log_uniform_values",
  "q_log_uniform_values",
  "normal",
  "q_normal",
  "log_normal",
  "q_log_normal",
] as const;
export type Distribution = (typeof DISTRIBUTIONS)[number];

const KIND_NAMES: Record<ValuesKind, string> = {
  choices: "Choices",
  list: "List",
  steps: "Steps",
  spaced: "Evenly spaced",
  draws: "Random draws",
  glob: "Patterns",
};

export function kindsOf(place: Place): { kind: ValuesKind; name: string }[] {
  const kinds: ValuesKind[] = [
    ...(place.choices.length > 0 ? (["choices"] as const) : []),
    ...(place.path === "/architecture" ? (["glob"] as const) : []),
    "list",
    ...(isNumeric(place) ? (["steps", "spaced", "draws"] as const) : []),
  ];
  return kinds.map((kind) => ({ kind, name: KIND_NAMES[kind] }));
}

export function initialValues(place: Place): AxisValues {
  const { current } = place;
  const number = typeof current === "number" ? current : 1;
  const isWhole = /^an integer/.test(place.type);
  const family = typeof current === "string" ? /^[a-z]+/.exec(current)?.[0] : "";
  return {
    kind: kindsOf(place)[0]?.kind ?? "list",
    chosen: place.choices.filter((choice) => JSON.stringify(choice) === JSON.stringify(current)),
    more: "",
    list: current === undefined ? "" : JSON.stringify(current),
    start: String(number),
    stop: String(number * 4 || 4),
    step: isWhole || number === 0 ? "1" : String(number),
    count: "5",
    isLog: false,
    distribution: isWhole ? "int_uniform" : "uniform",
    q: "1",
    glob: `${family}*`,
    exclude: "",
  };
}

export function isNormal(distribution: Distribution): boolean {
  return distribution.endsWith("normal");
}

/** Returns the axis as a sweep has it; what is typed wrong goes as it is, and the service says so. */
export function axisDocument(values: AxisValues, isGrid: boolean): Json {
  switch (values.kind) {
    case "choices":
      return [...values.chosen, ...readList(values.more)];
    case "list":
      return readList(values.list);
    case "steps":
      return given({ start: values.start, stop: values.stop, step: values.step });
    case "spaced":
      return spaced(
        readNumber(values.start),
        readNumber(values.stop),
        readNumber(values.count),
        values.isLog,
      );
    case "draws": {
      const [low, high] = isNormal(values.distribution) ? ["mu", "sigma"] : ["min", "max"];
      return {
        ...given({ [low as string]: values.start, [high as string]: values.stop }),
        distribution: values.distribution,
        ...(values.distribution.startsWith("q_") && given({ q: values.q })),
        // int_uniform and q_uniform without a count are every value once.
        ...(isGrid && given({ count: values.count })),
      };
    }
    case "glob": {
      const exclude = patterns(values.exclude);
      return { glob: patterns(values.glob), ...(exclude.length > 0 && { exclude }) };
    }
  }
}

function patterns(text: string): string[] {
  return text
    .split(",")
    .map((each) => each.trim())
    .filter((each) => each !== "");
}

/** Returns values that are separated by commas: JSON, or words without quotes. */
export function readList(text: string): Json[] {
  return splitList(text).map((item) => {
    try {
      return JSON.parse(item) as Json;
    } catch {
      return item;
    }
  });
}

/** Splits at the commas that stand in no list, object or quotes. */
function splitList(text: string): string[] {
  const items: string[] = [];
  let depth = 0;
  let isQuoted = false;
  let item = "";
  for (const character of text) {
    if (character === '"' && !item.endsWith("\\")) isQuoted = !isQuoted;
    else if (!isQuoted && "[{".includes(character)) depth += 1;
    else if (!isQuoted && "]}".includes(character)) depth -= 1;
    if (character === "," && depth === 0 && !isQuoted) {
      items.push(item);
      item = "";
    } else {
      item += character;
    }
  }
  return [...items, item].map((each) => each.trim()).filter((each) => each !== "");
}

function readNumber(text: string): Json {
  const number = Number(text);
  return text.trim() === "" || !Number.isFinite(number) ? text : number;
}

/** Returns the members that were given. */
function given(texts: Readonly<Record<string, string>>): Record<string, Json> {
  return Object.fromEntries(
    Object.entries(texts)
      .filter(([, text]) => text.trim() !== "")
      .map(([name, text]) => [name, readNumber(text)]),
  );
}

// A document with more values is refused by any service; who types a billion is told so at once.
const MOST_LISTED = 100_000;

/** Returns why values cannot be listed in a document; undefined if they can. */
export function listingMistake(values: AxisValues): string | undefined {
  const count = values.kind === "spaced" ? readNumber(values.count) : 0;
  if (typeof count !== "number" || count <= MOST_LISTED) return undefined;
  return `Evenly spaced values are listed in the sweep, at most ${exact(MOST_LISTED)} of them; received ${exact(count)}. Random draws are not listed.`;
}

/** Returns numbers from one to another, with equal differences or with equal ratios. */
function spaced(from: Json, to: Json, count: Json, isLog: boolean): Json {
  const isReadable =
    typeof from === "number" && typeof to === "number" && typeof count === "number";
  if (!isReadable || count < 1 || count > MOST_LISTED || (isLog && (from <= 0 || to <= 0))) {
    // The service says what is wrong with it, or `listingMistake` does.
    return { min: from, max: to, count, distribution: isLog ? "log_uniform_values" : "uniform" };
  }
  return Array.from({ length: Math.floor(count) }, (_, index) => {
    const share = count > 1 ? index / (count - 1) : 0;
    const number = isLog ? from * (to / from) ** share : from + share * (to - from);
    // Twelve digits hide what the arithmetic adds: 0.30000000000000004.
    return index === 0 ? from : share === 1 ? to : Number(number.toPrecision(12));
  });
}
