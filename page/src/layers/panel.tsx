export function Layers() {
  return <p class="empty">Layers</p>;
}
