/** Problems in words, and the boundary that keeps one panel's failure from the others. */

import { Component, type ComponentChildren } from "preact";
import { asProblem, type Problem, serviceUrl } from "../api/client";

/** Shows a problem: its title, which leads to its explanation, its detail, and each mistake. */
export function ProblemNote({ problem, retry }: { problem: Problem; retry?: () => void }) {
  return (
    <div class="problem-note" role="alert">
      <p class="problem-title">
        <a href={serviceUrl(problem.type)} target="_blank" rel="noreferrer">
          {problem.title}
        </a>
      </p>
      {problem.errors && problem.errors.length > 0 ? (
        <ul>
          {problem.errors.map((error) => (
            <li key={error.pointer + error.message}>
              {error.pointer && <code>{error.pointer}</code>} {error.message}
            </li>
          ))}
        </ul>
      ) : (
        <p>{problem.detail}</p>
      )}
      {retry && (
        <button type="button" onClick={retry}>
          Try again
        </button>
      )}
    </div>
  );
}

/** Shows its children; if they throw while rendering, the problem in their place. */
export class Boundary extends Component<{ children: ComponentChildren }, { error: unknown }> {
  override state: { error: unknown } = { error: null };

  static override getDerivedStateFromError(error: unknown): { error: unknown } {
    return { error };
  }

  override render() {
    if (this.state.error === null) return this.props.children;
    const retry = () => this.setState({ error: null });
    return <ProblemNote problem={asProblem(this.state.error)} retry={retry} />;
  }
}
