import { expect, test } from "vitest";

/** The style sheets by room; those of `style` and `ui` are shared. */
const sheets = import.meta.glob<string>("/src/*/*.css", {
  query: "?raw",
  import: "default",
  eager: true,
});
const rooms = new Map<string, string[][]>();
for (const [path, css] of Object.entries(sheets)) {
  const room = path.split("/")[2] ?? "";
  const shared = room === "style" || room === "ui" ? "shared" : room;
  const plain = css.replace(/\/\*.*?\*\//gs, "");
  const selectors = [...plain.matchAll(/([^{}]+)\{/g)]
    .map(([, selector = ""]) => selector.trim())
    .filter((selector) => !/^[@%\d]|^(from|to|:root)$/.test(selector))
    .flatMap((selector) => selector.split(/,(?![^(]*\))/));
  rooms.set(shared, [
    ...(rooms.get(shared) ?? []),
    ...selectors.map((selector) =>
      [...selector.matchAll(/[.#]([a-zA-Z][\w-]*)/g)].map(([, name = ""]) => name),
    ),
  ]);
}

// The sheets of panels are loaded when these are first opened: one that styled another room's
// elements would change a panel by the order in which panels are opened.
test("a room's style sheet reaches no element of another room", () => {
  const styledBy = new Map<string, Set<string>>();
  for (const [room, selectors] of rooms) {
    for (const name of selectors.flat()) {
      styledBy.set(name, (styledBy.get(name) ?? new Set()).add(room));
    }
  }
  const reaching = [...rooms]
    .filter(([room]) => room !== "shared" && room !== "docs")
    .flatMap(([room, selectors]) =>
      selectors
        .filter((names) => names.every((name) => (styledBy.get(name)?.size ?? 0) > 1))
        .map((names) => `${room}: ${names.join(" ")}`),
    );
  expect(reaching).toEqual([]);
});
