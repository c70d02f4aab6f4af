/** The columns of the table of layers, and which of them are shown. */

import { computed, signal } from "@preact/signals";
import type { Schemas } from "../api/client";
import { type Layer, liveBuild, report } from "../build/live";
import { levelPlace } from "../build/places";
import type { Call } from "../provenance/setters";
import { bytes, exact, shape, short } from "../ui/format";

export interface FactColumn {
  readonly id: string;
  readonly kind: "fact";
  readonly title: string;
  readonly hint: string;
  /** In ch. */
  readonly width: number;
  /** A number that can be summed has a bar behind it. */
  readonly sum?: (layer: Layer) => number;
  readonly text: (layer: Layer) => string;
  readonly full?: (layer: Layer) => string;
  readonly sortsBy: (layer: Layer) => number | string;
}

export interface ArgumentColumn {
  readonly id: string;
  readonly kind: "argument";
  readonly title: string;
  readonly hint: string;
  readonly width: number;
}

export type Column = FactColumn | ArgumentColumn;

const size = (sizes: readonly (number | null)[] | null) =>
  sizes === null
    ? "all"
    : sizes.every((each) => each === sizes[0]) && sizes.length > 0
      ? String(sizes[0] ?? "?")
      : shapeOf(sizes);
const shapeOf = (sizes: readonly (number | null)[]) => sizes.map((each) => each ?? "?").join("×");
// An extent that is not known sorts before all others, and that of the whole input after them.
const extent = (sizes: readonly (number | null)[] | null) =>
  sizes === null ? Number.POSITIVE_INFINITY : Math.max(...sizes.map((each) => each ?? -1), -1);
const elements = (sizes: readonly (number | null)[]) =>
  sizes.reduce<number>((product, each) => product * (each ?? 1), 1);

const summed = (
  id: keyof Layer & string,
  title: string,
  hint: string,
  format: (value: number) => string,
  width: number,
): FactColumn => {
  const sum = (layer: Layer) => layer[id] as number;
  return {
    id,
    kind: "fact",
    title,
    hint,
    width,
    sum,
    text: (layer) => (sum(layer) === 0 ? "–" : format(sum(layer))),
    full: (layer) => exact(sum(layer)),
    sortsBy: sum,
  };
};

export const FACTS: readonly FactColumn[] = [
  {
    id: "op",
    kind: "fact",
    title: "Op",
    hint: "The operation",
    width: 12,
    text: (layer) => layer.op,
    sortsBy: (layer) => layer.op,
  },
  {
    id: "output_shape",
    kind: "fact",
    title: "Output",
    hint: "The shape of the output; N is the batch",
    width: 15,
    text: (layer) => shape(layer.output_shape),
    sortsBy: (layer) => elements(layer.output_shape),
  },
  summed("parameters", "Parameters", "Numbers that the layer's weights hold", short, 12.5),
  summed("multiply_adds", "Mult-adds", "Multiply-adds for one example", short, 12),
  summed("activation_bytes", "Activations", "Bytes of the output, for one example", bytes, 13),
  {
    id: "receptive_field",
    kind: "fact",
    title: "Field",
    hint: "The receptive field: the side of the input that one output sees",
    width: 7,
    text: (layer) => size(layer.receptive_field),
    sortsBy: (layer) => extent(layer.receptive_field),
  },
  summed("weight_bytes", "Weights", "Bytes of the weights as float32", bytes, 11),
  {
    id: "effective_stride",
    kind: "fact",
    title: "Stride",
    hint: "How far apart in the input two neighbouring outputs look",
    width: 8,
    text: (layer) => size(layer.effective_stride),
    sortsBy: (layer) => extent(layer.effective_stride),
  },
];

const argumentColumn = (name: string): ArgumentColumn => ({
  id: `argument:${name}`,
  kind: "argument",
  title: name,
  hint: `The argument ${name}, and who set it`,
  width: Math.min(15, Math.max(14, name.length + 0.5)),
});

// Arguments -------------------------------------------------------------------------------------

const USUAL = ["activation_fn", "normalizer_fn", "weights_regularizer"];

/** Every argument of the build's calls, by name. */
export const argumentNames = computed<readonly string[]>(() =>
  namesIn(report("explanation")?.calls ?? []),
);

export function namesIn(calls: readonly Call[]): string[] {
  const names = new Set<string>();
  for (const call of calls) for (const argument of call.arguments) names.add(argument.name);
  return [...names].sort();
}

/** Returns the arguments that levels of the request set, and the usual ones, if a call has them. */
export function usualArguments(
  overrides: readonly Schemas["Override"][],
  names: readonly string[],
): string[] {
  const set = overrides
    .filter((each) => levelPlace(each.pointer) !== null && each.reached > 0)
    .map((each) => each.argument);
  return [...new Set([...USUAL, ...set])].filter((name) => names.includes(name));
}

// What is shown ---------------------------------------------------------------------------------

interface Choice {
  /** The facts that are not shown. */
  readonly hidden: readonly string[];
  /** The arguments that are shown; null for those that matter in the build. */
  readonly arguments: readonly string[] | null;
}

const KEY = "model-zoo.layers.columns";
// The weights follow from the parameters, and the stride is seldom asked for.
const DEFAULT: Choice = { hidden: ["weight_bytes", "effective_stride"], arguments: null };

export const choice = signal<Choice>(stored());

export const shownArguments = computed<readonly string[]>(() => {
  const chosen = choice.value.arguments;
  if (chosen !== null) return chosen;
  const explanation = report("explanation");
  if (explanation) return usualArguments(explanation.overrides, argumentNames.value);
  // Their columns stand there before their values come, so that the others do not move then.
  const levels = liveBuild.value?.spec.scopes ?? [];
  const set = levels.flatMap((level) => ("args" in level ? Object.keys(level.args) : []));
  return [...new Set([...USUAL, ...set])];
});

// Equal lists stay one array, so that the rows are not rendered again.
let last: readonly Column[] = [];
export const columns = computed<readonly Column[]>(() => {
  const isShown = (fact: FactColumn) => !choice.value.hidden.includes(fact.id);
  const next: Column[] = [...FACTS.filter(isShown), ...shownArguments.value.map(argumentColumn)];
  const isSame = next.length === last.length && next.every((each, at) => each.id === last[at]?.id);
  if (!isSame) last = next;
  return last;
});

export function showFact(id: string, isShown: boolean): void {
  const others = choice.value.hidden.filter((each) => each !== id);
  choose({ ...choice.value, hidden: isShown ? others : [...others, id] });
}

export function showArgument(name: string, isShown: boolean): void {
  const others = shownArguments.value.filter((each) => each !== name);
  choose({ ...choice.value, arguments: isShown ? [...others, name] : others });
}

export function resetColumns(): void {
  choose(DEFAULT);
}

function choose(next: Choice): void {
  choice.value = next;
  try {
    localStorage.setItem(KEY, JSON.stringify(next));
  } catch {
    // The browser keeps nothing: the choice holds until the page is closed.
  }
}

function stored(): Choice {
  try {
    const { hidden, arguments: names } = JSON.parse(localStorage.getItem(KEY) ?? "") as Choice;
    const areNames = (each: unknown): each is string[] =>
      Array.isArray(each) && each.every((name) => typeof name === "string");
    if (areNames(hidden) && (names === null || areNames(names))) {
      return { hidden, arguments: names };
    }
  } catch {
    // Nothing is stored, or nothing that can be read.
  }
  return DEFAULT;
}
