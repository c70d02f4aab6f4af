/** A layer's name in one line; if it is too long, its scope is cut. */

import "./layer_name.css";

export function LayerName({ name }: { name: string }) {
  const cut = name.lastIndexOf("/") + 1;
  return (
    <>
      {cut > 0 && <span class="layer-scope">{name.slice(0, cut)}</span>}
      <span class="layer-leaf">{name.slice(cut)}</span>
    </>
  );
}
