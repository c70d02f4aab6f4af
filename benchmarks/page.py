"""`make bench-page`: how long an edit in a real browser takes until its totals are painted.

A key is pressed in the field of a parameter that changes the totals. Measured are the time from the
key's event to the frame that shows the new number of parameters, and the longest time for which the
page could not have taken another key. Beside them stands the bare request: the same spec, sent by a
client that only reads the answer.

Prints the table and writes it to `benchmarks/page.md`.
"""

import json
import shutil
import statistics
import sys
import time
from pathlib import Path
from typing import Any, NamedTuple

import httpx
from playwright.sync_api import Page, sync_playwright

from benchmarks.service import running_service

RESULTS = Path(__file__).with_name("page.md")
EDITS = 40
BROWSERS = ("chromium", "chromium-browser", "google-chrome")

# A key's event has the time at which the browser received it. Of the work that the change causes,
# the frame callback is the last before painting, and the message comes after it.
WATCH = """
() => {
  const total = document.querySelector('[data-total="parameters"]');
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
    """Seconds: of each edit until its totals were painted, of each long task, of each request."""

    edits: list[float]
    blocks: list[float]
    requests: list[float]


def measure(page: Page, url: str, architecture: str) -> Measured:
    """Edit the number of classes of an architecture, one key at a time."""
    spec: dict[str, Any] = {"architecture": architecture, "params": {"num_classes": 1001}}
    page.goto(f"{url}/#s={packed(spec)}")
    total = page.locator('[data-total="parameters"]')
    total.wait_for()
    field = page.get_by_label("num_classes", exact=True)
    field.press("End")
    page.wait_for_load_state("networkidle")
    page.evaluate(WATCH)
    for edit in range(EDITS):
        field.press("Backspace" if edit % 2 == 0 else "1")
        page.wait_for_function("count => window.measured.edits.length > count", arg=edit)
        page.wait_for_load_state("networkidle")  # the explanation has come, too
    found = page.evaluate("window.measured")
    return Measured(
        [each / 1e3 for each in found["edits"]],
        [each / 1e3 for each in found["blocks"]],
        request_seconds(url, spec),
    )


def packed(spec: object) -> str:
    """Return a spec as the page's links hold it: JSON, raw deflate, base64url."""
    import base64
    import zlib

    compressor = zlib.compressobj(wbits=-15)
    data = compressor.compress(json.dumps(spec).encode()) + compressor.flush()
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


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
