import { draft, specOf } from "../spec/draft";

export function Editor() {
  return <pre>{JSON.stringify(specOf(draft.value), null, 2)}</pre>;
}
