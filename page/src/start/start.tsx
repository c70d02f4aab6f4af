export function StartButton() {
  return <button type="button">Start</button>;
}
