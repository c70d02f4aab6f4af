export function Sweep() {
  return <p class="empty">Sweep</p>;
}
