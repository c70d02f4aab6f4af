"""`make bench-page`: how long an edit in a real browser takes until its totals are painted.

A key is pressed in the field of a parameter that changes the totals: at rest, when the explanation
of the edit before has come, and while typing five keys a second. Measured are the time from the
key's event to the frame that shows the new number of parameters, and for how long the page could
not have taken another key. Beside them stands the bare request: the same spec, sent by a client
that only reads the answer.

Prints the table and writes it to `benchmarks/page.md`.
"""

import base64
import json
import statistics
import sys
import time
import zlib
from pathlib import Path
from typing import Any, NamedTuple

import httpx
from playwright.sync_api import Page, sync_playwright

from benchmarks.service import running_service
from scripts.browsers import BROWSERS, find_browser

RESULTS = Path(__file__).with_name("page.md")
EDITS = 40
TYPING_MS = 200
# The architectures, and within how many seconds the median edit is to be painted.
TARGETS = {"inception_v2": 0.060, "inception_v3": None, "nasnet_large": 0.120}
BLOCKED_TARGET = 0.050

# A key's event has the time at which the browser received it. Of the work that the change causes,
# the frame callback is the last before painting, and the message comes after it.
WATCH = """
() => {
  const figures = [...document.querySelectorAll(".figure")];
  const total = figures.find((each) => each.querySelector("dt").textContent === "Parameters");
  const edits = [];
  const blocks = [];
  let began = 0;
  addEventListener("keydown", (event) => { began = event.timeStamp; }, true);
  new MutationObserver(() => {
    if (began === 0) return;
    const start = began;
    began = 0;
    requestAnimationFrame(() => {
      const channel = new MessageChannel();
      channel.port1.onmessage = () => edits.push(performance.now() - start);
      channel.port2.postMessage(null);
    });
  }).observe(total, { childList: true, characterData: true, subtree: true });
  new PerformanceObserver((list) => {
    for (const entry of list.getEntries()) blocks.push(entry.duration);
  }).observe({ type: "longtask" });
  window.measured = { edits, blocks };
}
"""


class Measured(NamedTuple):
    """Seconds of edits at rest and typed until painted, of long tasks, and of bare requests."""

    edits: list[float]
    typed: list[float]
    blocks: list[float]
    requests: list[float]


def measure(page: Page, url: str, architecture: str) -> Measured:
    """Edit the number of classes of an architecture, one key at a time."""
    spec: dict[str, Any] = {"architecture": architecture, "params": {"num_classes": 1001}}
    packed = zlib.compress(json.dumps(spec).encode(), wbits=-15)
    link = base64.urlsafe_b64encode(packed).decode().rstrip("=")
    page.goto(f"{url}/#s={link}")
    page.locator(".figure-value").get_by_text("M").first.wait_for()
    page.get_by_role("region", name="Spec").get_by_role("button", name="Parameters").click()
    field = page.get_by_label("num_classes", exact=True)
    field.press("End")
    page.wait_for_load_state("networkidle")
    page.evaluate(WATCH)
    keys = ["Backspace", "1"] * (EDITS // 2)
    for count, key in enumerate(keys):
        with page.expect_response(lambda response: "include=explanation" in response.url):
            field.press(key)
        page.wait_for_function("count => window.measured.edits.length > count", arg=count)
    for key in keys:
        page.keyboard.press(key)
        page.wait_for_timeout(TYPING_MS)
    page.wait_for_function("count => window.measured.edits.length >= count", arg=2 * EDITS)
    found = page.evaluate("window.measured")
    seconds = [each / 1e3 for each in found["edits"]]
    return Measured(
        seconds[:EDITS],
        seconds[EDITS:],
        [each / 1e3 for each in found["blocks"]],
        request_seconds(url, spec),
    )


def request_seconds(url: str, spec: dict[str, Any]) -> list[float]:
    """Return the seconds of the request that an edit makes, without a browser."""
    seconds = []
    with httpx.Client(base_url=url) as client:
        for edit in range(EDITS):
            spec["params"]["num_classes"] = 100 if edit % 2 == 0 else 1001
            began = time.perf_counter()
            client.post("/v1/builds?keep=false", json=spec).raise_for_status().json()
            seconds.append(time.perf_counter() - began)
    return seconds


def row(architecture: str, target: float | None, measured: Measured) -> tuple[str, ...]:
    """Return a row of the table."""
    edits, typed, blocks, requests = measured
    median = statistics.median(edits)
    request = statistics.median(requests)
    long = [each for each in blocks if each > BLOCKED_TARGET]
    blocked = (
        f"{len(long)} times in {2 * EDITS} edits, {1e3 * max(long):.0f} ms" if long else "never"
    )
    return (
        architecture,
        f"{1e3 * median:.0f} ms" + ("" if target is None else f" (target {1e3 * target:.0f})"),
        f"{1e3 * statistics.quantiles(edits, n=20)[-1]:.0f} ms",
        f"{1e3 * statistics.median(typed):.0f} ms",
        f"{1e3 * request:.0f} ms",
        f"{median / request:.1f}",
        blocked,
    )


def main() -> int:
    """Measure each architecture, and print and write the table."""
    browser = find_browser()
    if browser is None:
        print(f"bench-page needs a browser: one of {', '.join(BROWSERS)}.", file=sys.stderr)
        return 1
    rows = [
        (
            "network",
            "edit to painted totals, median",
            "95th percentile",
            "while typing, median",
            "the bare request, median",
            "ratio",
            "blocked for over 50 ms",
        )
    ]
    with running_service() as service, sync_playwright() as playwright:
        url = str(service.client.base_url)
        chromium = playwright.chromium.launch(executable_path=browser, args=["--no-sandbox"])
        for architecture, target in TARGETS.items():
            page = chromium.new_page(viewport={"width": 1440, "height": 900})
            rows.append(row(architecture, target, measure(page, url, architecture)))
            page.close()
        chromium.close()
    lines = [f"| {' | '.join(each)} |" for each in rows]
    lines.insert(1, "|" + "---|" * len(rows[0]))
    table = "\n".join(lines) + "\n"
    print(table)
    RESULTS.write_text(table, encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
