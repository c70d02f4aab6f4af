/** The builds in memory that have no name: those that were tried. */

import { bytes, exact } from "../ui/format";
import { ProblemNote } from "../ui/problem";
import { openInEditor, unload } from "./actions";
import { Runtime, Speed } from "./runtime";
import { builds, bytesInMemory, runtimes, type Statistics, unnamed, versionKey } from "./state";
import { ScrollTable } from "./table";
import { type Act, useAction } from "./use_action";

export function Unnamed() {
  const { problem, act } = useAction();
  return (
    <section class="model" aria-label="In memory without a name">
      <h2>In memory without a name</h2>
      {problem && <ProblemNote problem={problem} />}
      <ScrollTable label="Builds in memory" columns={["Build", "Memory", "Runs by", "Mean time"]}>
        {unnamed.value.map((stats) => (
          <BuildRow key={stats.name} stats={stats} act={act} />
        ))}
      </ScrollTable>
    </section>
  );
}

function BuildRow({ stats, act }: { stats: Statistics; act: Act }) {
  const id = stats.name;
  const short = id.slice(0, 8);
  const size = bytesInMemory(stats);
  return (
    <tr>
      <th scope="row">
        {builds.value.get(id)?.architecture} <code title={id}>{short}</code>
      </th>
      <td title={`${exact(size)} bytes`}>{bytes(size)}</td>
      <td>
        <Runtime facts={runtimes.value.get(versionKey(id, 1))} options={null} />
      </td>
      <td>
        <Speed stats={stats} />
      </td>
      <td>
        <div class="model-actions">
          <button
            type="button"
            aria-label={`Open build ${short} in the editor`}
            onClick={() => void act(() => openInEditor(id))}
          >
            Open
          </button>
          <button
            type="button"
            aria-label={`Unload build ${short}`}
            onClick={() => void act(() => unload(id))}
          >
            Unload
          </button>
        </div>
      </td>
    </tr>
  );
}
