import { describe, expect, it } from "vitest";
import { addFate, fateLine } from "./fates";

describe("the fate of an argument", () => {
  const override = (reached: number, won: number, kind: "call" | "scope") => ({
    pointer: "/scopes/0/args/decay",
    op: "batch_norm",
    argument: "decay",
    value: 1,
    layers: 9,
    reached,
    won,
    beaten_by:
      reached === won
        ? []
        : [
            {
              written_at: "/scopes/1/args/decay",
              level: "request" as const,
              kind,
              calls: reached - won,
            },
          ],
  });

  it("is a line over all its ops", () => {
    const fate = addFate(addFate(undefined, override(98, 96, "call")), override(2, 1, "scope"));
    expect(fateLine(fate)).toBe("won 97 of 100 calls; lost 2 to the network, 1 to level 1");
    expect(fateLine(addFate(undefined, override(1, 1, "call")))).toBe("won all 1 call");
    expect(fateLine(addFate(undefined, override(0, 0, "call")))).toBe("reached no call");
  });
});
