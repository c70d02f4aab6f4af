/** Levels that override an argument where it is called: which layers, and whether by force. */

import type { Level } from "../spec/draft";
import type { Argument } from "./setters";

/**
 * Returns why a level of the request without `force` would lose to what sets an argument now.
 *
 * Null if an innermost level wins: over the op's default, the default scope and outer levels.
 */
export function whyForce(argument: Argument): string | null {
  switch (argument.kind) {
    case "call":
      return "The value is passed in the call itself, which beats every scope that is not forced.";
    case "forced":
      return "A forced level sets the value, and beats every level that is not forced.";
    case "scope":
      return argument.level === "network" || argument.level === "code"
        ? "The network sets the value in a scope of its own, inside the levels of the request."
        : null;
    default:
      return null;
  }
}

/** Returns the level that gives an argument of some layers a value. */
export function overrideLevel(
  op: string,
  argument: Argument,
  layers: string,
  force: boolean,
): Level {
  const level = {
    ops: [op],
    args: { [argument.name]: argument.value },
    layers: [layers],
    ...(force && { force: true }),
  };
  return level as unknown as Level;
}

/** Returns the patterns of the scopes around a layer, the nearest first: A/B/c has A/B/* and A/*. */
export function blockPatterns(layer: string): string[] {
  const parts = layer.split("/");
  return parts
    .slice(1)
    .map((_, index) => `${parts.slice(0, parts.length - 1 - index).join("/")}/*`);
}
