/** How a box is coloured: by who set an argument, or by a number. */

import { setterClass, setterMark, setterName, setterOf } from "../provenance/setters";
import { bytes, exact, short, value } from "../ui/format";
import type { Figures, GraphLayer, Item, Tree } from "./tree";

/** What a box shows beside its name. Colours are never alone: the mark or the figure says the same. */
export interface Paint {
  /** The class of the box. */
  readonly tone: string;
  readonly mark: string;
  /** The strip at the left: the classes of its parts and their shares, which sum to 1. */
  readonly strip: readonly { readonly tone: string; readonly share: number }[];
  /** In place of the shape. */
  readonly figure: string | null;
  /** What the colour says, in words. */
  readonly words: string;
}
export type Painter = (item: Item) => Paint;

export const PLAIN: Paint = { tone: "", mark: "", strip: [], figure: null, words: "" };

// Who set an argument ----------------------------------------------------------------------------

/** Returns the names of the arguments that layers have, those that levels set first. */
export function argumentNames(tree: Tree): { byLevels: string[]; others: string[] } {
  const byLevels = new Set<string>();
  const others = new Set<string>();
  for (const layer of tree.layers.values()) {
    for (const argument of layer.arguments) {
      const isSet =
        argument.level === "request" || argument.beat?.some((b) => b.level === "request");
      (isSet ? byLevels : others).add(argument.name);
    }
  }
  return {
    byLevels: [...byLevels].sort(),
    others: [...others].filter((name) => !byLevels.has(name)).sort(),
  };
}

export function setterPainter(tree: Tree, name: string): Painter {
  return (item) => {
    const counts = new Map<string, { layer: GraphLayer; count: number }>();
    let all = 0;
    for (const layerName of item.layers) {
      const layer = tree.layers.get(layerName);
      const argument = layer?.arguments.find((each) => each.name === name);
      if (layer === undefined || argument === undefined) continue;
      const key = setterName(setterOf(argument));
      counts.set(key, { layer, count: (counts.get(key)?.count ?? 0) + 1 });
      all += 1;
    }
    if (all === 0) return { ...PLAIN, tone: "without", words: `has no ${name}` };
    const parts = [...counts.values()].map(({ layer, count }) => {
      const argument = layer.arguments.find((each) => each.name === name) as Written;
      return { argument, setter: setterOf(argument), count };
    });
    parts.sort((a, b) => b.count - a.count);
    const words = parts.map(({ argument, setter, count }) =>
      all === 1
        ? `${name} = ${value(argument.value)}, set by ${setterName(setter)}`
        : `${name} of ${count} set by ${setterName(setter)}`,
    );
    return {
      tone: "",
      mark: [...new Set(parts.map(({ setter }) => setterMark(setter) || "·"))].join(""),
      strip: parts.map(({ setter, count }) => ({ tone: setterClass(setter), share: count / all })),
      figure: null,
      words: words.join("; "),
    };
  };
}

type Written = GraphLayer["arguments"][number];

// Numbers ----------------------------------------------------------------------------------------

export const OVERLAYS = {
  parameters: { title: "Parameters", format: short },
  multiply_adds: { title: "Multiply-adds", format: short },
  activation_bytes: { title: "Activation bytes", format: bytes },
  receptive_field: { title: "Receptive field", format: exact },
} as const satisfies Record<keyof Figures, { title: string; format: (value: number) => string }>;
export type Overlay = keyof typeof OVERLAYS;

export function isOverlay(name: string): name is Overlay {
  return Object.hasOwn(OVERLAYS, name);
}

/** How many colours the scale has; graph.css has them as .heat-0 to .heat-5. */
export const HEATS = 6;

/** The bounds of the colours, evenly spaced by ratio: figures of layers differ by thousands. */
export interface Scale {
  readonly overlay: Overlay;
  readonly least: number;
  readonly most: number;
}

/** Returns the scale over the items that are seen; null if none has any of it. */
export function scaleOf(items: readonly Item[], overlay: Overlay): Scale | null {
  const figures = items.map((item) => item.figures[overlay]).filter((figure) => figure > 0);
  if (figures.length === 0) return null;
  const least = figures.reduce((a, b) => Math.min(a, b));
  const most = figures.reduce((a, b) => Math.max(a, b));
  return { overlay, least, most };
}

/** Returns the colour of a figure; null for none. */
export function heatOf(scale: Scale, figure: number): number | null {
  if (!(figure > 0)) return null;
  if (scale.most === scale.least) return HEATS - 1;
  const at = Math.log(figure / scale.least) / Math.log(scale.most / scale.least);
  return Math.max(0, Math.min(HEATS - 1, Math.floor(at * HEATS)));
}

/** Returns the least figure of a colour. */
export function heatStart(scale: Scale, heat: number): number {
  return Math.round(scale.least * (scale.most / scale.least) ** (heat / HEATS));
}

export function overlayPainter(scale: Scale | null, overlay: Overlay): Painter {
  const { title, format } = OVERLAYS[overlay];
  return (item) => {
    const figure = item.figures[overlay];
    const heat = scale === null ? null : heatOf(scale, figure);
    return {
      ...PLAIN,
      tone: heat === null ? "without" : `heat-${heat}`,
      figure: figure > 0 ? format(figure) : "–",
      words: `${title}: ${exact(figure)}`,
    };
  };
}
