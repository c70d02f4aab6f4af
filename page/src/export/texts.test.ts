import { expect, test } from "vitest";
import { literal, quoted } from "./texts";

test("a text with quotes is one word of a shell", () => {
  expect(quoted(`a'b "c"`)).toBe(`'a'\\''b "c"'`);
});

test("a spec is a literal of Python", () => {
  expect(literal({ a: [null, true, 0.5], b: { c: "d" }, e: {} })).toBe(
    '{\n    "a": [None, True, 0.5],\n    "b": {\n        "c": "d",\n    },\n    "e": {},\n}',
  );
});
