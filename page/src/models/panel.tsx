/** The named models, what is in memory, and the worker that computes. */

import { useEffect } from "preact/hooks";
import { Loading } from "../ui/loading";
import { ProblemNote } from "../ui/problem";
import { ModelView } from "./model";
import { NameForm } from "./name_form";
import { keepFresh } from "./polling";
import { Service } from "./service";
import { byName, models, refreshAll, unnamed } from "./state";
import { Unnamed } from "./unnamed";
import "./models.css";

export function Models() {
  useEffect(() => keepFresh(refreshAll), []);
  return (
    <div class="models">
      <Service />
      <NameForm />
      <section aria-labelledby="models-named">
        <h2 id="models-named" tabIndex={-1}>
          Named models
        </h2>
        <Named />
      </section>
      {unnamed.value.length > 0 && <Unnamed />}
    </div>
  );
}

function Named() {
  if (models.problem.value) {
    return <ProblemNote problem={models.problem.value} retry={() => void refreshAll()} />;
  }
  if (models.value.value === null) return <Loading what="the models" />;
  if (byName.value.size === 0) {
    return (
      <p class="empty">
        No build has a name yet. Name the live build above: clients of this service, of Triton and
        of TensorFlow Serving then find it by that name, and the name stays when the build is
        replaced.
      </p>
    );
  }
  return (
    <>
      {[...byName.value].map(([name, versions]) => (
        <ModelView key={name} name={name} versions={versions} />
      ))}
    </>
  );
}
