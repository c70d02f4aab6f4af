import { describe, expect, it } from "vitest";
import { packSpec, readLink, unpackSpec } from "./link";

// base64.urlsafe_b64encode of zlib.compressobj(wbits=-15), without padding, as Python writes it.
const BY_PYTHON = "q1ZKLErOyCxJTS4pLUpVslLKSc1LLVGqBQA";

describe("a link", () => {
  it("holds a spec with any text", async () => {
    const spec = { architecture: "lenet", note: 'ÄÖ "quoted" 🙂 '.repeat(1000) };
    expect(await unpackSpec(await packSpec(spec))).toEqual(spec);
    expect(await packSpec(spec)).toMatch(/^[A-Za-z0-9_-]+$/);
  });

  it("may be written by Python", async () => {
    expect(await unpackSpec(BY_PYTHON)).toEqual({ architecture: "lenet" });
  });

  it("tells a build, a layer and what it does not know", async () => {
    const link = await readLink("#b=0123&layer=InceptionV3/Mixed_5b%2FBranch_0&new=1");
    expect(link).toEqual({ build: "0123", layer: "InceptionV3/Mixed_5b/Branch_0" });
    expect(await readLink("")).toEqual({});
  });

  it.each(["%%%", "AAAA", BY_PYTHON.slice(0, -6)])("that is damaged says so: %s", async (text) => {
    await expect(unpackSpec(text)).rejects.toThrow(
      "The link's #s= is damaged: it is not base64url of raw deflate.",
    );
  });
});
