import { afterEach, describe, expect, it, vi } from "vitest";
import { serviceUrl } from "./client";

afterEach(() => vi.unstubAllGlobals());

/** Stands on a page with this address. */
function at(address: string): void {
  vi.stubGlobal("document", { baseURI: address });
}

describe("a path of the service", () => {
  it("is below the address of the page", () => {
    at("https://lab.example/tools/zoo/?b=1#s=x");
    expect(serviceUrl("v1/builds")).toBe("https://lab.example/tools/zoo/v1/builds");
    at("https://lab.example/tools/zoo/docs");
    expect(serviceUrl("v1/limits")).toBe("https://lab.example/tools/zoo/v1/limits");
  });

  it("as a link of an answer has the prefix once, whether the service knows it or not", () => {
    at("https://lab.example/tools/zoo/");
    const next = "https://lab.example/tools/zoo/v1/models?limit=50&cursor=7";
    expect(serviceUrl("/tools/zoo/v1/models?limit=50&cursor=7")).toBe(next);
    expect(serviceUrl("/v1/models?limit=50&cursor=7")).toBe(next);
  });

  it("needs no prefix", () => {
    at("http://127.0.0.1:8000/");
    expect(serviceUrl("/docs#problem-conflict")).toBe(
      "http://127.0.0.1:8000/docs#problem-conflict",
    );
    expect(serviceUrl("v1/builds")).toBe("http://127.0.0.1:8000/v1/builds");
  });
});
