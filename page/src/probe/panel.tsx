export function Probe() {
  return <p class="empty">Probe</p>;
}
