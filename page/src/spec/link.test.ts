import { describe, expect, test } from "vitest";
import { packSpec, readLink, unpackSpec, writeLink } from "./link";

const SPEC = {
  architecture: "inception_v3",
  params: { num_classes: 1001 },
  scopes: [{ ops: ["conv2d"], args: { activation_fn: "relu6" }, layers: ["Größe/*", "?~>"] }],
} as never;
const BUILD = "793d224b7fade4e14c483e5c7a88445c";

/** What Python's zlib.compress(b'{"architecture": "lenet"}', wbits=-15) gives, in base64url. */
const FROM_PYTHON = "q1ZKLErOyCxJTS4pLUpVslJQyknNSy1RqgUA";

describe("a link", () => {
  test("gives back the spec and the layer that it was written with", async () => {
    const link = { spec: SPEC, layer: "InceptionV3/Mixed_5b/Branch_0 & more" };
    const fragment = await writeLink(link);
    expect(await readLink(fragment)).toEqual(link);
    expect(fragment).toMatch(/^#s=[\w-]+&layer=InceptionV3\/Mixed_5b\/Branch_0%20%26%20more$/);
  });

  test("gives back the build that it was written with", async () => {
    expect(await writeLink({ build: BUILD })).toBe(`#b=${BUILD}`);
    expect(await readLink(`#b=${BUILD}`)).toEqual({ build: BUILD });
  });

  test("holds a spec with any text", async () => {
    const spec = { architecture: "lenet", note: 'ÄÖ "quoted" 🙂 '.repeat(1000) };
    expect(await unpackSpec(await packSpec(spec))).toEqual(spec);
  });

  test("may have parts that are not known", async () => {
    expect(await readLink("#layer=a%2Fb&new=1")).toEqual({ layer: "a/b" });
  });

  test("of nothing is empty", async () => {
    expect(await writeLink({})).toBe("");
    expect(await readLink("")).toEqual({});
  });

  test("made by Python is read, with padding or without, in either alphabet", async () => {
    const spec = { architecture: "lenet" };
    expect(await unpackSpec(FROM_PYTHON)).toEqual(spec);
    expect(await readLink(`#s=${FROM_PYTHON}==`)).toEqual({ spec });
    const packed = await packSpec(SPEC);
    expect(await readLink(`#s=${packed.replaceAll("-", "+").replaceAll("_", "/")}`)).toEqual({
      spec: SPEC,
    });
  });

  test.each([
    ["#b=12", "The link's #b= is no build's id, which has 32 hexadecimal digits: \"12\"."],
    ["#s=%%%", "The link's #s= is damaged: it is not base64url of raw deflate."],
    ["#s=", "The link's #s= is damaged: it is not base64url of raw deflate."],
    [
      `#s=${FROM_PYTHON.slice(0, -8)}`,
      "The link's #s= is damaged: it is not base64url of raw deflate.",
    ],
  ])("that is damaged is told as a sentence: %s", async (fragment, sentence) => {
    await expect(readLink(fragment)).rejects.toThrow(sentence);
  });

  test("whose JSON is no object is told as a sentence", async () => {
    await expect(unpackSpec(await packSpec([] as never))).rejects.toThrow(
      "The link's #s= holds no spec: a spec is a JSON object.",
    );
  });

  test("that holds no JSON is told as a sentence", async () => {
    // Deflate, stored: the two letters "ok".
    const stored = btoa(String.fromCharCode(1, 2, 0, 253, 255, 0x6f, 0x6b));
    await expect(unpackSpec(stored)).rejects.toThrow("The link's #s= holds no JSON: ");
  });

  test("that inflates beyond a request's size is refused", async () => {
    const bomb = await packSpec({ text: " ".repeat(33 * 2 ** 20) });
    await expect(unpackSpec(bomb)).rejects.toThrow("more than a request to the service may: 32 MB");
  });
});
