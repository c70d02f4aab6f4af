/** The picture or the array that is tried; it stays while other panels are shown. */

import { signal } from "@preact/signals";
import { asProblem, type Problem } from "../api/client";
import digit from "./examples/digit.png";
import landscape from "./examples/landscape.jpg";
import shapes from "./examples/shapes.png";
import { HEADER_BYTES, isNpy, type NpyHeader, readHeader } from "./npy";

export interface Input {
  readonly name: string;
  readonly file: Blob;
  /** Where the browser finds the file, to show it. */
  readonly url: string;
  /** The header of an .npy file; every other file is sent as an image, and the service judges it. */
  readonly array: NpyHeader | null;
}

export interface Example {
  readonly name: string;
  readonly url: string;
}

export const EXAMPLES: readonly Example[] = [
  { name: "Landscape", url: landscape },
  { name: "Shapes", url: shapes },
  { name: "Digit", url: digit },
];

export const input = signal<Input | null>(null);
export const inputProblem = signal<Problem | null>(null);

export async function choose(file: Blob, name: string): Promise<void> {
  let array: NpyHeader | null = null;
  try {
    const start = new Uint8Array(await file.slice(0, HEADER_BYTES).arrayBuffer());
    if (isNpy(start)) array = readHeader(start);
  } catch (error) {
    inputProblem.value = asProblem(error);
    return;
  }
  if (input.value) URL.revokeObjectURL(input.value.url);
  inputProblem.value = null;
  input.value = { name, file, url: URL.createObjectURL(file), array };
}

export async function chooseExample(example: Example): Promise<void> {
  try {
    const response = await fetch(example.url);
    if (!response.ok) throw new Error(`The example was answered with status ${response.status}.`);
    await choose(await response.blob(), example.name);
  } catch (error) {
    inputProblem.value = asProblem(error);
  }
}

/** Returns the input as the body of a prediction. */
export function formOf({ file, name, array }: Input): FormData {
  const form = new FormData();
  form.append(array ? "array" : "image", file, name);
  return form;
}

/** Returns what a network needs that takes no pictures; null if it takes them. */
export function needsArray(inputShape: readonly number[]): string | null {
  const sizes = inputShape.join("×");
  if (inputShape.length === 4) {
    const [frames, height, width] = inputShape;
    return `This network takes video, not pictures: an .npy file of N×${sizes}, for ${frames} frames of ${height}×${width}.`;
  }
  const channels = inputShape.at(-1);
  if (channels === 1 || channels === 3) return null;
  return `This network takes ${channels} channels, and a picture has 1 or 3: send an .npy file of N×${sizes}.`;
}
