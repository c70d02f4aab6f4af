export function Models() {
  return <p class="empty">Models</p>;
}
