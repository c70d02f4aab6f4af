/** The catalogue of architectures: choosing one starts an empty spec, or changes only the architecture. */

import { useMemo, useState } from "preact/hooks";
import { architectures, retryProblems } from "../catalogue/catalogue";
import { open, setField } from "../spec/draft";
import { exact, shape, short } from "../ui/format";
import { Loading } from "../ui/loading";
import { ProblemNote } from "../ui/problem";
import {
  type Architecture,
  type Column,
  count,
  families,
  type Order,
  type Range,
  selected,
} from "./catalogue";
import { closeStart } from "./start";

export function Architectures() {
  const { value: all, problem } = architectures();
  if (problem) return <ProblemNote problem={problem} retry={retryProblems} />;
  if (all === undefined) return <Loading what="the catalogue" />;
  return <Catalogue all={all.architectures} />;
}

function Catalogue({ all }: { all: readonly Architecture[] }) {
  const [text, setText] = useState("");
  const [family, setFamily] = useState("");
  const [parameters, setParameters] = useState(ANY);
  const [multiplyAdds, setMultiplyAdds] = useState(ANY);
  const [order, setOrder] = useState<Order>({ by: "name", descending: false });
  const [keepsScopes, setKeepsScopes] = useState(false);
  const shown = useMemo(
    () =>
      selected(
        all,
        {
          text,
          family,
          parameters: rangeOf(parameters),
          multiply_adds: rangeOf(multiplyAdds),
        },
        order,
      ),
    [all, text, family, parameters, multiplyAdds, order],
  );
  const known = families(all);
  const choose = ({ name }: Architecture) => {
    if (keepsScopes) setField("architecture", name);
    else open({ architecture: name });
    closeStart();
  };
  return (
    <div class="start-catalogue">
      <search class="start-filters" aria-label="Architectures">
        <label>
          Name{known.length > 0 && ", family"} or paper
          <input
            type="search"
            value={text}
            spellcheck={false}
            placeholder="resnet v2"
            onInput={(event) => setText(event.currentTarget.value)}
          />
        </label>
        {known.length > 0 && (
          <label>
            Family
            <select value={family} onChange={(event) => setFamily(event.currentTarget.value)}>
              <option value="">all</option>
              {known.map((each) => (
                <option key={each}>{each}</option>
              ))}
            </select>
          </label>
        )}
        <RangeFields title="Parameters" example="5M" ends={parameters} change={setParameters} />
        <RangeFields
          title="Multiply-adds"
          example="1G"
          ends={multiplyAdds}
          change={setMultiplyAdds}
        />
      </search>
      <div class="start-choice">
        <p aria-live="polite">
          {shown.length === all.length ? all.length : `${shown.length} of ${all.length}`}{" "}
          architectures
        </p>
        <label>
          <input
            type="checkbox"
            checked={keepsScopes}
            onChange={(event) => setKeepsScopes(event.currentTarget.checked)}
          />
          Keep my scopes: change only the architecture
        </label>
      </div>
      <div class="start-table">
        <table>
          <thead>
            <tr>
              <Heading title="Architecture" column="name" order={order} change={setOrder} />
              {known.length > 0 && (
                <Heading title="Family" column="family" order={order} change={setOrder} />
              )}
              <Heading title="Parameters" column="parameters" order={order} change={setOrder} />
              <Heading
                title="Multiply-adds"
                column="multiply_adds"
                order={order}
                change={setOrder}
              />
              <th scope="col" class="number wide">
                Input
              </th>
              <th scope="col" class="wide">
                Source
              </th>
            </tr>
          </thead>
          <tbody>
            {shown.map((each) => (
              <tr key={each.name}>
                <th scope="row">
                  <button type="button" aria-label={each.name} onClick={() => choose(each)}>
                    {breakable(each.name)}
                  </button>
                </th>
                {known.length > 0 && <td>{each.family}</td>}
                <td class="number" title={exact(each.parameters)}>
                  {short(each.parameters)}
                </td>
                <td class="number" title={exact(each.multiply_adds)}>
                  {short(each.multiply_adds)}
                </td>
                <td class="number wide">{shape(each.input_shape)}</td>
                <td class="wide">{each.source}</td>
              </tr>
            ))}
          </tbody>
        </table>
        {shown.length === 0 && <p class="empty">No architecture fits all of these.</p>}
      </div>
    </div>
  );
}

/** Returns a name that a narrow column may break after its underscores. */
function breakable(name: string) {
  return name.split(/(?<=_)/).map((part) => [part, <wbr key={part} />]);
}

/** The ends of a range as they were typed. */
interface Ends {
  readonly from: string;
  readonly to: string;
}

const ANY: Ends = { from: "", to: "" };

/** An end that is no number limits nothing; its field says so. */
function rangeOf({ from, to }: Ends): Range {
  return { from: count(from) ?? null, to: count(to) ?? null };
}

function RangeFields({
  title,
  example,
  ends,
  change,
}: {
  title: string;
  example: string;
  ends: Ends;
  change: (ends: Ends) => void;
}) {
  const field = (end: "from" | "to", placeholder: string) => (
    <input
      type="text"
      inputMode="decimal"
      aria-label={`${title} ${end}`}
      aria-invalid={count(ends[end]) === undefined}
      title="A number, or one with a unit: 5M, 1.5G"
      placeholder={placeholder}
      value={ends[end]}
      onInput={(event) => change({ ...ends, [end]: event.currentTarget.value })}
    />
  );
  return (
    <fieldset>
      <legend>{title}</legend>
      {field("from", "0")} to {field("to", example)}
    </fieldset>
  );
}

function Heading({
  title,
  column,
  order,
  change,
}: {
  title: string;
  column: Column;
  order: Order;
  change: (order: Order) => void;
}) {
  const isSorted = order.by === column;
  const sort = order.descending ? "descending" : "ascending";
  const isNumber = column === "parameters" || column === "multiply_adds";
  return (
    <th scope="col" class={isNumber ? "number" : ""} aria-sort={isSorted ? sort : "none"}>
      <button
        type="button"
        class="quiet"
        onClick={() => change({ by: column, descending: isSorted && !order.descending })}
      >
        {title}
        <span aria-hidden="true">{isSorted ? (order.descending ? "↓" : "↑") : "↕"}</span>
      </button>
    </th>
  );
}
