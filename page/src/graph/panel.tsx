export function Graph() {
  return <p class="empty">Graph</p>;
}
