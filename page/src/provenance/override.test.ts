import { expect, test } from "vitest";
import { blockPatterns, overrideLevel, whyForce } from "./override";
import type { Argument } from "./setters";

const argument = (kind: Argument["kind"], level?: Argument["level"]): Argument => ({
  name: "decay",
  value: 0.9,
  kind,
  ...(level && { level }),
});

test("an innermost level wins over defaults, the default scope and other levels", () => {
  expect(whyForce(argument("default"))).toBeNull();
  expect(whyForce(argument("scope", "default_scope"))).toBeNull();
  expect(whyForce(argument("scope", "request"))).toBeNull();
});

test("only a forced level wins over the call, the network's scopes and forced levels", () => {
  expect(whyForce(argument("call", "default_scope"))).toContain("the call itself");
  expect(whyForce(argument("scope", "network"))).toContain("a scope of its own");
  expect(whyForce(argument("forced", "request"))).toContain("A forced level");
});

test("an override starts from the present value", () => {
  expect(overrideLevel("batch_norm", argument("default"), "Net/conv/BatchNorm", false)).toEqual({
    ops: ["batch_norm"],
    args: { decay: 0.9 },
    layers: ["Net/conv/BatchNorm"],
  });
  expect(overrideLevel("batch_norm", argument("default"), "Net/*", true)).toMatchObject({
    force: true,
  });
});

test("blocks are the scopes around a layer, the nearest first", () => {
  expect(blockPatterns("Net/Mixed_5b/conv")).toEqual(["Net/Mixed_5b/*", "Net/*"]);
  expect(blockPatterns("input")).toEqual([]);
});
