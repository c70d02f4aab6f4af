/** What an argument takes, read from the words in which the service describes its type. */

import type { Schemas } from "../api/client";

export type Description = Schemas["ArgumentDescription"];

export type Kind =
  | { readonly is: "boolean"; readonly nullable: boolean }
  | { readonly is: "choice"; readonly values: readonly unknown[]; readonly nullable: boolean }
  | { readonly is: "function"; readonly names: readonly string[]; readonly nullable: boolean }
  | { readonly is: "number"; readonly nullable: boolean }
  | { readonly is: "numbers"; readonly nullable: boolean }
  | { readonly is: "text"; readonly nullable: boolean }
  | { readonly is: "arguments"; readonly nullable: boolean }
  | { readonly is: "json" };

const CHOICE = /^(?:'[^']*'|-?\d+)(?: or (?:'[^']*'|-?\d+))*$/;

/** Returns how an argument is edited; what the words do not tell is edited as JSON. */
export function kindOf(description: Pick<Description, "type" | "values">): Kind {
  const nullable = / or null$/.test(description.type);
  const type = description.type.replace(/( or null)+$/, "");
  if (description.values) return { is: "function", names: description.values, nullable };
  if (type === "true or false") return { is: "boolean", nullable };
  if (CHOICE.test(type)) {
    const values = type.split(" or ").map((each) => JSON.parse(each.replaceAll("'", '"')));
    return { is: "choice", values, nullable };
  }
  if (/^a list\b/.test(type) || / or a list of /.test(type)) return { is: "numbers", nullable };
  if (/^an? (integer|number)\b/.test(type)) return { is: "number", nullable };
  if (/^a (string|variable scope)\b/.test(type)) return { is: "text", nullable };
  if (type === "an object of a normalizer's arguments") return { is: "arguments", nullable };
  return { is: "json" };
}

/** Returns how a value without a description is edited: an argument of an initializer, by its default. */
export function kindOfValue(value: unknown): Kind {
  switch (typeof value) {
    case "boolean":
      return { is: "boolean", nullable: false };
    case "number":
      return { is: "number", nullable: false };
    case "string":
      return { is: "text", nullable: false };
    default:
      return { is: "json" };
  }
}

/** Whether the editor of this kind can show the value; others are shown as JSON. */
export function shows(kind: Kind, value: unknown): boolean {
  if (value === null) return kind.is === "json" || kind.nullable;
  switch (kind.is) {
    case "boolean":
      return typeof value === "boolean";
    case "choice":
      return typeof value === "string" || typeof value === "number";
    case "function":
      return typeof value === "string" || (isObject(value) && typeof value.name === "string");
    case "number":
    case "text":
      return typeof value === "string" || typeof value === "number";
    case "numbers":
      return (
        typeof value === "string" ||
        typeof value === "number" ||
        (Array.isArray(value) && value.every((each) => typeof each === "number" || each === null))
      );
    case "arguments":
      return isObject(value);
    case "json":
      return true;
  }
}

export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** What a text field holds: a value, or why it holds none. */
export type Parsed = { readonly value: unknown } | { readonly error: string };

/**
 * Returns the value that a text means for a kind.
 *
 * A text that is no number is sent as it stands: the service says what it wants in its place.
 */
export function parse(kind: Kind, text: string): Parsed {
  const trimmed = text.trim();
  if ("nullable" in kind && kind.nullable && trimmed === "null") return { value: null };
  switch (kind.is) {
    case "number":
      return { value: numberOf(trimmed) };
    case "numbers": {
      const inner = /^\[(.*)\]$/s.exec(trimmed)?.[1] ?? trimmed;
      if (inner === trimmed && !trimmed.includes(",")) return { value: numberOf(trimmed) };
      const items = inner.split(",").map((each) => each.trim());
      if (items.at(-1) === "") items.pop();
      return { value: items.map((each) => (each === "null" ? null : numberOf(each))) };
    }
    case "json":
    case "arguments":
      try {
        return { value: JSON.parse(trimmed) };
      } catch {
        return { error: "This is not JSON yet: strings stand in double quotes." };
      }
    default:
      return { value: text };
  }
}

function numberOf(text: string): unknown {
  // Number("") is 0, and a hexadecimal number is none in JSON.
  const isNumber = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(text);
  const number = Number(text);
  return isNumber && Number.isFinite(number) ? number : text;
}

/** Returns the text of a value, such that `parse` gives it back. */
export function textOf(kind: Kind, value: unknown): string {
  if (value === undefined) return "";
  if (kind.is === "json" || kind.is === "arguments") return JSON.stringify(value);
  if (Array.isArray(value)) return value.length > 1 ? value.map(String).join(", ") : `[${value}]`;
  return String(value);
}

/** Whether two JSON values say the same; the order of members says nothing. */
export function isEqual(a: unknown, b: unknown): boolean {
  if (a === b) return true;
  if (Array.isArray(a) && Array.isArray(b)) {
    return a.length === b.length && a.every((each, index) => isEqual(each, b[index]));
  }
  if (!isObject(a) || !isObject(b)) return false;
  const names = Object.keys(a);
  return (
    names.length === Object.keys(b).length &&
    names.every((name) => Object.hasOwn(b, name) && isEqual(a[name], b[name]))
  );
}
