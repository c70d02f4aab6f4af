import { expect, it } from "vitest";

// All sheets of the page hold for the whole of it once they are loaded.
const sheets = import.meta.glob<string>(["../*/*.css", "!../docs/*"], {
  query: "?raw",
  import: "default",
  eager: true,
});
// Sizes, colours and parts that all rooms use, and refine.
const SHARED = new Set(["style", "ui"]);

/** Returns the selectors of a sheet; those of nested rules and of media queries, too. */
function selectors(sheet: string): string[] {
  const plain = sheet.replaceAll(/\/\*[\s\S]*?\*\//g, "");
  return [...plain.matchAll(/([^{};]+)\{/g)]
    .map((match) => match[1]?.trim() ?? "")
    .filter((selector) => !selector.startsWith("@"))
    .flatMap((selector) => selector.split(","));
}

function classes(selector: string): string[] {
  return [...selector.matchAll(/\.([a-zA-Z][\w-]*)/g)].map((match) => match[1] ?? "");
}

it("lets no room style what another room calls by the same class", () => {
  const users = new Map<string, Set<string>>();
  const owners = new Map<string, Set<string>>();
  const shared = new Set<string>();
  for (const [path, sheet] of Object.entries(sheets)) {
    const room = path.startsWith("./") ? "style" : (path.split("/")[1] ?? "");
    for (const selector of selectors(sheet)) {
      const [first = "", ...rest] = selector.trim().split(/[\s>+~]+/);
      for (const name of [...classes(first), ...rest.flatMap(classes)]) {
        if (SHARED.has(room)) shared.add(name);
        users.set(name, (users.get(name) ?? new Set()).add(room));
      }
      // A state, as of `.row.is-open`, does not make a rule reach further.
      const owned = classes(first).filter((name) => !name.startsWith("is-"));
      if (owned.length === 1 && owned[0]) {
        owners.set(owned[0], (owners.get(owned[0]) ?? new Set()).add(room));
      }
    }
  }
  const clashes = [...owners.keys()].filter(
    (name) => !shared.has(name) && (users.get(name)?.size ?? 0) > 1,
  );
  expect(clashes.map((name) => `${name}: ${[...(users.get(name) ?? [])].join(", ")}`)).toEqual([]);
});
