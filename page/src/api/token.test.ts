import { beforeEach, expect, test } from "vitest";
import {
  askForToken,
  asking,
  forgetToken,
  giveToken,
  isMissing,
  token,
  wantToken,
  withToken,
} from "./token";

beforeEach(() => {
  giveToken("");
  forgetToken();
});

test("requests that are refused meanwhile wait for one answer", async () => {
  const waiting = [askForToken(null), askForToken(null)];
  expect(asking.value).toBe("needed");
  giveToken(" zoo_a ");
  expect(await Promise.all(waiting)).toEqual([true, true]);
  expect([asking.value, token.value]).toEqual([null, "zoo_a"]);
});

test("a request that was sent before the token came is sent again at once", async () => {
  giveToken("zoo_a");
  expect(await askForToken(null)).toBe(true);
  expect(asking.value).toBe(null);
});

test("a token that is refused is said to be", () => {
  giveToken("zoo_a");
  void askForToken("zoo_a");
  expect(asking.value).toBe("refused");
});

test("who gives none is asked again only when he wants to be", async () => {
  const waiting = askForToken(null);
  giveToken(null);
  expect(await waiting).toBe(false);
  expect(await askForToken(null)).toBe(false);
  expect([asking.value, isMissing.value]).toEqual([null, true]);
  wantToken();
  expect(asking.value).toBe("needed");
  giveToken("zoo_b");
  expect([asking.value, isMissing.value]).toEqual([null, false]);
});

test("a token is added to the headers of a request", () => {
  const init = { headers: { Accept: "text/csv" } };
  expect(withToken(init)).toBe(init);
  giveToken("zoo_a");
  const headers = new Headers(withToken(init).headers);
  expect([headers.get("Accept"), headers.get("Authorization")]).toEqual([
    "text/csv",
    "Bearer zoo_a",
  ]);
});
