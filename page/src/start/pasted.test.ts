import { expect, test } from "vitest";
import { linkIn } from "./pasted";

const ID = "793d224b7fade4e14c483e5c7a88445c";

test.each([
  [ID, `#b=${ID}`],
  [` ${ID.toUpperCase()}\n`, `#b=${ID}`],
  [`http://127.0.0.1:8000/zoo/#b=${ID}&layer=a/b`, `#b=${ID}&layer=a/b`],
  [`http://127.0.0.1:8000/v1/builds/${ID}/summary`, `#b=${ID}`],
  ["#s=abc_-", "#s=abc_-"],
  ["s=abc", "#s=abc"],
])("%j means %s", (text, fragment) => {
  expect(linkIn(text)).toBe(fragment);
});

test("nothing pasted is told as a sentence", () => {
  expect(() => linkIn("  ")).toThrow("Paste the id of a build, or a link to this page.");
});

test.each(["inception_v3", ID.slice(1), "http://127.0.0.1:8000/"])("%j is refused", (text) => {
  expect(() => linkIn(text)).toThrow(
    "This is neither a build's id, which has 32 hexadecimal digits, nor a link with #b= or #s=.",
  );
});
