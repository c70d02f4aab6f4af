export function Export() {
  return <p class="empty">Export</p>;
}
