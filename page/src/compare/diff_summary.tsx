/** What two builds have in all, and how their specs differ. */

import type { Schemas } from "../api/client";
import { bytes, exact, short, signed, value } from "../ui/format";
import { levelText } from "./describe";
import type { Compared } from "./diff";
import { changesOf } from "./patch";

type Name = keyof Schemas["Diff"]["totals"];

const TOTALS: readonly (readonly [Name, string, (value: number) => string])[] = [
  ["layers", "Layers", exact],
  ["parameters", "Parameters", short],
  ["trainable_parameters", "Trainable", short],
  ["multiply_adds", "Multiply-adds", short],
  ["weight_bytes", "Weights", bytes],
  ["activation_bytes", "Activations", bytes],
  ["peak_activation_bytes", "Peak", bytes],
];

export function DiffSummary({ compared: { a, diff } }: { compared: Compared }) {
  return (
    <div class="diff-summary">
      <table>
        <caption class="visually-hidden">Totals</caption>
        <thead>
          <tr>
            <th scope="col">
              <span class="visually-hidden">Total</span>
            </th>
            <th scope="col">A</th>
            <th scope="col">B</th>
            <th scope="col">B − A</th>
          </tr>
        </thead>
        <tbody aria-live="polite">
          {TOTALS.map(([name, title, format]) => (
            <TotalRow key={name} title={title} total={diff.totals[name]} format={format} />
          ))}
        </tbody>
      </table>
      <SpecChanges patch={diff.spec} before={a.normalized} />
      <SharedWeights shared={diff.shared_weights} />
    </div>
  );
}

function TotalRow({
  title,
  total: { a, b, difference, ratio },
  format,
}: {
  title: string;
  total: Schemas["Total"];
  format: (value: number) => string;
}) {
  const times = ratio === null ? "" : `, ${Number(ratio.toPrecision(3))} times A`;
  return (
    <tr>
      <th scope="row">{title}</th>
      <td title={exact(a)}>{format(a)}</td>
      <td title={exact(b)}>{format(b)}</td>
      <td
        title={`${signed(difference, exact)}${times}`}
        class={difference === 0 ? "diff-same" : "diff-changed"}
      >
        {signed(difference, format)}
      </td>
    </tr>
  );
}

const CLASSES = { "+": "diff-added", "-": "diff-removed", "~": "diff-changed" } as const;
const WORDS = { "+": "added", "-": "removed", "~": "changed" } as const;

function SpecChanges({ patch, before }: { patch: Schemas["Diff"]["spec"]; before: unknown }) {
  const changes = changesOf(patch, before);
  return (
    <section aria-label="Changes of the spec">
      <h2>Spec</h2>
      {changes.length === 0 && <p>The specs are the same.</p>}
      <ul>
        {changes.map(({ sign, path, before, after }, index) => (
          <li key={index}>
            <span class={`diff-sign ${CLASSES[sign]}`} title={WORDS[sign]}>
              {sign === "-" ? "−" : sign}
            </span>
            <span>
              <code>{path}</code>
              <br />
              {before !== undefined && <del>{valueAt(path, before)}</del>}
              {before !== undefined && after !== undefined && " → "}
              {after !== undefined && <ins>{valueAt(path, after)}</ins>}
            </span>
          </li>
        ))}
      </ul>
    </section>
  );
}

function valueAt(path: string, each: unknown): string {
  return /^\/scopes\/\d+$/.test(path) ? levelText(each) : value(each);
}

function SharedWeights({ shared }: { shared: Schemas["SharedWeights"] }) {
  const share = (part: number | null) => (part === null ? "none" : `${(part * 100).toFixed(1)} %`);
  return (
    <p class="diff-shared">
      Of one name and shape in both: {exact(shared.variables)} variables with{" "}
      <span title={exact(shared.parameters)}>{short(shared.parameters)} parameters</span>,{" "}
      {share(shared.share_of_a)} of A and {share(shared.share_of_b)} of B.
    </p>
  );
}
