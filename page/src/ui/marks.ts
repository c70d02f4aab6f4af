/** Thousands of marks under the SVG of a plot, which would be slow as elements of their own. */

import type { RefObject } from "preact";
import { useEffect, useReducer, useRef } from "preact/hooks";

/**
 * Marks of one look. In `parts`, which are painted one after the other, stand x and y in turn: the
 * bends of lines, a NaN where a line ends; or the middles of dots, if there is a `radius`.
 */
export interface Marks {
  readonly parts: readonly Float32Array<ArrayBuffer>[];
  readonly colour: string;
  readonly opacity: number;
  readonly thickness: number;
  readonly radius?: number;
}

/** What a painter is told: the canvas at first, then each picture. */
export interface Picture {
  readonly canvas?: OffscreenCanvas;
  readonly width: number;
  readonly height: number;
  readonly pixelRatio: number;
  readonly marks: readonly Marks[];
}

/**
 * Keeps a canvas painted, anew when an input or the colours change.
 *
 * A worker paints: the browser of a machine without a graphics processor needs a tenth of a second
 * for some thousand lines.
 */
export function useMarks(
  canvas: RefObject<HTMLCanvasElement | null>,
  width: number,
  height: number,
  marks: () => readonly Marks[],
  inputs: readonly unknown[],
): void {
  const [scheme, onScheme] = useReducer<number, void>((times) => times + 1, 0);
  const painter = useRef<{ worker: Worker; canvas: HTMLCanvasElement } | null>(null);
  useEffect(() => {
    const dark = matchMedia("(prefers-color-scheme: dark)");
    const changed = () => onScheme();
    dark.addEventListener("change", changed);
    return () => {
      dark.removeEventListener("change", changed);
      painter.current?.worker.terminate();
    };
  }, []);
  useEffect(() => {
    const element = canvas.current;
    if (element === null || width <= 0) return;
    let given: OffscreenCanvas | undefined;
    // An element gives its canvas away once; another element needs another painter.
    if (painter.current?.canvas !== element) {
      painter.current?.worker.terminate();
      const worker = new Worker(new URL("./marks_worker.ts", import.meta.url), { type: "module" });
      painter.current = { worker, canvas: element };
      given = element.transferControlToOffscreen();
    }
    const picture: Picture = {
      ...(given && { canvas: given }),
      width,
      height,
      pixelRatio: window.devicePixelRatio || 1,
      marks: marks(),
    };
    const buffers = picture.marks.flatMap(({ parts }) => parts.map((part) => part.buffer));
    painter.current.worker.postMessage(picture, given ? [given, ...buffers] : buffers);
  }, [canvas.current, width, height, scheme, ...inputs]);
}

/** Returns marks that look as an element does. */
export function like(
  element: Element | null | undefined,
  parts: readonly Float32Array<ArrayBuffer>[],
  radius?: number,
): Marks {
  const style = element ? getComputedStyle(element) : null;
  const isDots = radius !== undefined;
  return {
    parts,
    colour: (isDots ? style?.fill : style?.stroke) ?? "",
    opacity: Number((isDots ? style?.fillOpacity : style?.opacity) ?? 1),
    thickness: Number.parseFloat(style?.strokeWidth ?? "") || 1,
    ...(isDots && { radius }),
  };
}
