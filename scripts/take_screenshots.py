"""Takes the pictures of the page that README and docs show: `make screenshots`.

Writes `docs/images/*.png`, each below 300 KB.
"""

import io
from collections.abc import Callable
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page, expect, sync_playwright

from benchmarks.service import running_service
from scripts.browsers import find_browser

FOLDER = Path(__file__).resolve().parent.parent / "docs" / "images"
MAX_BYTES = 300_000
SIZE = (1440, 900)


def page_at_rest(page: Page) -> None:
    """The first preset, with the arguments that its levels set."""
    expect(page.get_by_text("won 0 of 96 calls").first).to_be_visible()


def why(page: Page) -> None:
    """Who set the decay of a batch norm, and whom that beat."""
    page_at_rest(page)
    row = page.get_by_role("row").filter(has_text="Conv2d_2a_3x3/BatchNorm")
    row.get_by_role("gridcell").filter(has_text="0.9997").click()
    expect(page.get_by_text("Override here")).to_be_visible()


def graph(page: Page) -> None:
    """The blocks of Inception v3, one of them open."""
    page.get_by_role("tab", name="Graph").click()
    page.get_by_role("treeitem", name="Mixed_6b").first.wait_for()
    page.get_by_label("Colour by").select_option("multiply_adds")


def sweep(page: Page) -> None:
    """Seventy-two MobileNets: their multiply-adds, parameters and predicted gains."""
    axes = {
        "depth_multiplier": "0.25, 0.35, 0.5, 0.75, 1, 1.4",
        "input_shape": "[96, 96, 3], [128, 128, 3], [160, 160, 3], [224, 224, 3]",
        "final_endpoint": '"layer_8", "layer_14", "layer_19"',
    }
    page.get_by_role("combobox", name="architecture").select_option("mobilenet_v2")
    page.get_by_role("tab", name="Sweep").click()
    for place, values in axes.items():
        page.get_by_label("Add an axis").select_option(label=place)
        axis = page.get_by_role("listitem").filter(has=page.get_by_role("group", name=place))
        kind = axis.get_by_role("combobox", name="Values")
        if kind.count():
            kind.select_option("list")
        axis.get_by_label("Values, with commas").fill(values)
    page.get_by_role("button", name="Run the sweep").click()
    expect(page.get_by_text("72 rows: 72 traced")).to_be_visible(timeout=60_000)
    page.get_by_text("72 rows: 72 traced").scroll_into_view_if_needed()


PICTURES: dict[str, Callable[[Page], None]] = {
    "page": page_at_rest,
    "why": why,
    "graph": graph,
    "sweep": sweep,
}


def main() -> None:
    """Take each picture of a new visit."""
    FOLDER.mkdir(exist_ok=True)
    browser = find_browser()
    with running_service() as service, sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=browser, args=["--no-sandbox"])
        for name, arrange in PICTURES.items():
            width, height = SIZE
            page = chromium.new_page(viewport={"width": width, "height": height})
            page.goto(str(service.client.base_url))
            arrange(page)
            page.wait_for_load_state("networkidle")
            save(page.screenshot(animations="disabled"), FOLDER / f"{name}.png")
            page.close()
        chromium.close()


def save(picture: bytes, path: Path) -> None:
    """Write a picture in a palette of 256 colours.

    Raises: ValueError if it is too large all the same.
    """
    stream = io.BytesIO()
    image = Image.open(io.BytesIO(picture)).convert("RGB")
    image.quantize(256, dither=Image.Dither.NONE).save(stream, "PNG", optimize=True)
    if len(stream.getvalue()) > MAX_BYTES:
        raise ValueError(f"{path.name} takes {len(stream.getvalue()):,} bytes")
    path.write_bytes(stream.getvalue())


if __name__ == "__main__":
    main()
