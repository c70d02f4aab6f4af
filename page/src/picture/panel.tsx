export function Picture() {
  return <p class="empty">Picture</p>;
}
