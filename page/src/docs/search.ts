/** Which operations a search finds: Swagger UI's own looks at tags and paths alone. */

import type { Part, Parts } from "swagger-ui-dist/swagger-ui-es-bundle.js";

/** A plugin that keeps the operations in which all words of the search occur. */
export const searchInOperations = {
  fn: {
    opsFilter: (tags: Parts, phrase: string): Parts => {
      const words = phrase.toLowerCase().split(/\s+/).filter(Boolean);
      return tags
        .map((tag, name) => {
          const operations = tag.get("operations") as Parts;
          return tag.set(
            "operations",
            operations.filter((each) => containsAll(`${name} ${textOf(each)}`, words)),
          );
        })
        .filter((tag) => (tag.get("operations") as Parts).size > 0);
    },
  },
};

function textOf(operation: Part): string {
  const members = ["operationId", "summary", "description"].map((name) =>
    operation.getIn(["operation", name]),
  );
  return [operation.get("method"), operation.get("path"), ...members].join(" ").toLowerCase();
}

function containsAll(text: string, words: readonly string[]): boolean {
  return words.every((word) => text.includes(word));
}
