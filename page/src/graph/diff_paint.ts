/** How the boxes of two graphs are coloured and signed by what differs. */

import { type Counts, countsOf, type Match, SIGNS, type Side, signsOf } from "./diff_match";
import { type Painter, PLAIN } from "./paint";
import type { Item, Tree } from "./tree";

export function diffPainter(
  trees: Readonly<Record<Side, Tree>>,
  match: Match,
  side: Side,
): Painter {
  return (item) =>
    item.children.length > 0
      ? groupPaint(countsOf(trees, match, side, item.id))
      : nodePaint(match, side, item);
}

function groupPaint(counts: Counts): ReturnType<Painter> {
  const signs = signsOf(counts);
  const { same, ...different } = counts;
  if (signs === "") return { ...PLAIN, words: "the same" };
  const [only, ...more] = Object.entries(different).filter(([, count]) => count > 0);
  const isWhole = same === 0 && more.length === 0 && only !== undefined;
  const words = Object.entries(counts)
    .filter(([, count]) => count > 0)
    .map(([status, count]) => `${count} ${status}`);
  return {
    ...PLAIN,
    tone: isWhole ? `tone-${only[0]}` : "tone-changed",
    figure: signs,
    words: words.join(", "),
  };
}

function nodePaint(match: Match, side: Side, item: Item): ReturnType<Painter> {
  const diff = item.layer === null ? undefined : match.layers[side].get(item.layer);
  if (diff === undefined || diff.status === "same") return { ...PLAIN, words: "the same" };
  const there = side === "a" ? diff.b : diff.a;
  const changes = diff.changes.map((change) => change.replace("_", " ")).join(", ");
  const words = {
    changed: `changed: ${changes}`,
    renamed: `named ${there?.name} on the other side`,
    added: "added",
    removed: "removed",
  }[diff.status];
  return { ...PLAIN, tone: `tone-${diff.status}`, mark: SIGNS[diff.status], words };
}
