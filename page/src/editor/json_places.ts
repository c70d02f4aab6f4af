/** Where a JSON pointer leads in a text, so that a mistake is marked at its place. */

import { jsonLanguage } from "@codemirror/lang-json";
import { tokens } from "./pointers";

export interface Range {
  readonly from: number;
  readonly to: number;
}

/**
 * Returns the range of the member that a pointer leads to: its name, or its value if it has none.
 *
 * Where the pointer leads to nothing (a member that is missing), the nearest that is there is marked.
 */
export function rangeOf(text: string, pointer: string): Range {
  let node: Node | null = jsonLanguage.parser.parse(text).topNode.firstChild;
  let range: Range = { from: 0, to: text.length };
  if (node === null) return range;
  range = firstLine(text, node);
  for (const token of tokens(pointer)) {
    if (node?.name === "Object") {
      const member: Node | undefined = node
        .getChildren("Property")
        .find((each) => nameOf(text, each.getChild("PropertyName")) === token);
      if (member === undefined) return range;
      range = firstLine(text, member);
      node = member.lastChild;
    } else if (node?.name === "Array") {
      const items: Node[] = children(node).filter((each) => !"[],".includes(each.name));
      const item: Node | undefined = items[Number(token)];
      if (item === undefined) return range;
      range = firstLine(text, item);
      node = item;
    } else {
      return range;
    }
  }
  return range;
}

type Node = NonNullable<ReturnType<typeof jsonLanguage.parser.parse>["topNode"]["firstChild"]>;

function children(node: Node): Node[] {
  const all: Node[] = [];
  for (let child = node.firstChild; child !== null; child = child.nextSibling) all.push(child);
  return all;
}

/** Returns a node's range up to the end of its first line: a whole object underlined says nothing. */
function firstLine(text: string, { from, to }: Range): Range {
  const end = text.indexOf("\n", from);
  return { from, to: end < 0 ? to : Math.min(to, end) };
}

function nameOf(text: string, node: Range | null): string | undefined {
  if (node === null) return undefined;
  try {
    return JSON.parse(text.slice(node.from, node.to)) as string;
  } catch {
    return undefined;
  }
}

/** What a text says as a spec, or why it says none and where. */
export type ReadSpec =
  | { readonly spec: Record<string, unknown> }
  | { readonly error: string; readonly at: Range };

export function readSpec(text: string): ReadSpec {
  try {
    const spec: unknown = JSON.parse(text);
    if (typeof spec === "object" && spec !== null && !Array.isArray(spec)) {
      return { spec: spec as Record<string, unknown> };
    }
    return { error: "A spec is a JSON object.", at: { from: 0, to: text.length } };
  } catch {
    const at = syntaxError(text);
    return { error: "This is not JSON yet: the text is not applied.", at };
  }
}

function syntaxError(text: string): Range {
  const cursor = jsonLanguage.parser.parse(text).cursor();
  do {
    if (cursor.type.isError) {
      const from = Math.min(cursor.from, Math.max(0, text.length - 1));
      return { from, to: Math.min(text.length, Math.max(cursor.to, from + 1)) };
    }
  } while (cursor.next());
  return { from: Math.max(0, text.length - 1), to: text.length };
}
