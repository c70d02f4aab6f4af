import { describe, expect, it } from "vitest";
import { rangeOf, readSpec } from "./json_places";

describe("JSON text", () => {
  const text = '{"a/b": [1, {"c": "}"}],\n "d": {\n  "e": 2\n }}';
  const marked = (pointer: string) => {
    const { from, to } = rangeOf(text, pointer);
    return text.slice(from, to);
  };

  it("is marked where a pointer leads, in its first line", () => {
    expect(marked("/a~1b/0")).toBe("1");
    expect(marked("/a~1b/1/c")).toBe('"c": "}"');
    expect(marked("/d")).toBe('"d": {');
    expect(marked("/d/e")).toBe('"e": 2');
  });

  it("is marked at the nearest place where the pointer leads to nothing", () => {
    expect(marked("/d/missing")).toBe('"d": {');
    expect(marked("/a~1b/7")).toBe('"a/b": [1, {"c": "}"}]');
    expect(marked("")).toBe('{"a/b": [1, {"c": "}"}],');
  });

  it("is a spec only as an object, and tells where it is no JSON", () => {
    expect(readSpec('{"a": 1}')).toEqual({ spec: { a: 1 } });
    expect(readSpec("[1]")).toEqual({ error: "A spec is a JSON object.", at: { from: 0, to: 3 } });
    expect(readSpec('{"a": 1,\n "b" 2}')).toMatchObject({ at: { from: 14 } });
    expect(readSpec("")).toMatchObject({ at: { from: 0, to: 0 } });
  });
});
