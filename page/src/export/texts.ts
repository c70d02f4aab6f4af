/** The build as texts to take away: JSON, and commands for a shell. */

import { serviceUrl } from "../api/client";
import type { Spec } from "../spec/draft";

/** Returns a link to the page, without the query that the reader may have come with. */
export function pageUrl(fragment: string): string {
  return `${location.origin}${location.pathname}#${fragment}`;
}

export function curlOf(spec: Spec): string {
  const body = quoted(JSON.stringify(spec));
  return `curl -s ${quoted(serviceUrl("v1/builds"))} -H 'Content-Type: application/json' -d ${body}\n`;
}

/** Returns commands for the terminal; each reads the spec from its standard input. */
export function commandOf(spec: Spec): string {
  const lines = JSON.stringify(spec, null, 2);
  return `cat > spec.json <<'EOF'
${lines}
EOF
model-zoo summary spec.json
model-zoo explain spec.json
`;
}

/** Returns a text as one word of a POSIX shell. */
export function quoted(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}

/** Returns a Python program that traces the spec, and prints its id and its parameters. */
export function traceOf(spec: Spec): string {
  return `from model_zoo import BuildSpec, trace

spec = BuildSpec.read(${literal(spec)})
print(spec.digest, trace(spec).summary().totals["parameters"])
`;
}

/** Returns a JSON value as Python writes it. */
export function literal(value: unknown, indent = ""): string {
  const inner = `${indent}    `;
  if (value === null || value === undefined) return "None";
  if (typeof value === "boolean") return value ? "True" : "False";
  if (Array.isArray(value)) return `[${value.map((each) => literal(each, indent)).join(", ")}]`;
  if (typeof value === "object") {
    const entries = Object.entries(value);
    if (entries.length === 0) return "{}";
    const lines = entries.map(
      ([key, each]) => `${inner}${JSON.stringify(key)}: ${literal(each, inner)},`,
    );
    return `{\n${lines.join("\n")}\n${indent}}`;
  }
  return JSON.stringify(value);
}
