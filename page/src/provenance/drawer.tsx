/** The place of the inspector beside the results; its code is loaded when it is first opened. */

import { lazy } from "../ui/lazy";
import { Boundary } from "../ui/problem";
import { isInspecting } from "./inspect";

const Inspector = lazy(() => import("./panel").then((module) => module.Inspector));

export function Drawer() {
  if (!isInspecting.value) return null;
  return (
    <Boundary>
      <Inspector />
    </Boundary>
  );
}
