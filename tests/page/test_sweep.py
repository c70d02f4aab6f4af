"""Sweeps: axes from the editor, rows as they arrive, and one selection for table and plots."""

import csv
import io
import json
import re
import xml.etree.ElementTree as ET
from typing import Any

from page_tests import Visit, assert_accessible, link
from playwright.sync_api import Download, Locator, Page, Route, expect

SVG = "http://www.w3.org/2000/svg"
NARROW = {"width": 390, "height": 844}
SPEC: dict[str, Any] = {
    "architecture": "mobilenet_v1_025",
    "input_shape": [96, 96, 3],
    "scopes": [{"ops": ["conv2d"], "args": {"activation_fn": "relu6"}}],
}


def open_sweep(visit: Visit, spec: dict[str, Any] = SPEC, **options: object) -> Page:
    page = visit(link(spec), **options)
    results = page.get_by_role("button", name="Results", exact=True)
    if results.is_visible():
        results.click()
    page.get_by_role("tab", name="Sweep").click()
    return page


def add_axis(page: Page, place: str, values: str) -> None:
    """Add an axis with a list of values."""
    page.get_by_label("Add an axis").select_option(label=place)
    axis = page.get_by_role("listitem").filter(has=page.get_by_role("group", name=place))
    kind = axis.get_by_role("combobox", name="Values")
    if kind.count():
        kind.select_option("list")
    axis.get_by_label("Values, with commas").fill(values)


def run_sweep(page: Page, result: str) -> None:
    page.get_by_role("button", name="Run the sweep").click()
    # The first sweep waits for the processes that trace.
    expect(page.get_by_text(result)).to_be_visible(timeout=60_000)


def rows(page: Page) -> Locator:
    return page.get_by_role("grid", name="Rows of the sweep").get_by_role("row")


def test_rows_of_a_sweep_arrive_and_are_selected_everywhere_at_once(visit: Visit) -> None:
    page = open_sweep(visit)
    expect(page.get_by_text("Choose what varies")).to_be_visible()
    assert_accessible(page)
    add_axis(page, "depth_multiplier", "0.25, 0.5, 0.75, -1")
    add_axis(page, "input_shape", "[96, 96, 3], [128, 128, 3]")
    page.get_by_label("Predict the gain of the signal").check()
    expect(page.get_by_text("8 = 4 × 2 rows")).to_be_visible()
    assert_accessible(page)
    run_sweep(page, "8 rows: 6 traced, 2 refused")
    # A refused row is told in words, in the place of its figures.
    refused = rows(page).filter(has_text="refused").first
    expect(refused).to_contain_text("depth_multiplier of mobilenet_v1_025 must be a number above 0")
    row = rows(page).filter(has_text="[128, 128, 3]").first
    row.hover()
    expect(row).to_have_class("is-hovered")
    expect(page.locator(".ring-hovered")).to_have_count(1)
    expect(page.locator(".line-hovered")).to_have_count(1)
    row.click()
    expect(row).to_have_attribute("aria-selected", "true")
    expect(page.locator(".ring-selected")).to_have_count(1)
    expect(page.locator(".line-selected")).to_have_count(1)
    card = page.get_by_role("region", name="Selected row")
    expect(card).to_contain_text("Row 1")
    expect(card).to_contain_text("predicted gain")
    assert_accessible(page)
    # The plot leads back to the table.
    page.locator(".ring-selected").hover(force=True)
    expect(row).to_have_class("is-hovered")


def test_the_front_is_the_services_and_dominated_rows_can_be_hidden(visit: Visit) -> None:
    page = open_sweep(visit)
    add_axis(page, "depth_multiplier", "0.25, 0.5, 1")
    add_axis(page, "input_shape", "[96, 96, 3], [128, 128, 3], [160, 160, 3]")
    with page.expect_response(lambda answer: "pareto=" in answer.url) as answer:
        run_sweep(page, "9 rows: 9 traced")
    front = {row["index"] for row in answer.value.json()["rows"]}
    assert front == {0, 3, 6}
    expect(page.get_by_text("3 on the front.")).to_be_visible()
    expect(rows(page).filter(has_text="★")).to_have_count(3)
    scatter = page.get_by_role("region", name="Scatter")
    expect(scatter.get_by_role("img")).to_have_attribute(
        "aria-label", re.compile("9 rows, 3 of them on the Pareto front")
    )
    scatter.get_by_label("Dominated rows").uncheck()
    expect(scatter.get_by_role("img")).to_have_attribute("aria-label", re.compile("3 rows, 3 of"))
    scatter.get_by_label("Up: which is better").select_option("minimize")
    expect(page.get_by_text("1 on the front.")).to_be_visible()


def test_a_narrow_window_fits_all_and_says_where_the_front_is_not_the_services(
    visit: Visit,
) -> None:
    page = open_sweep(visit, {"architecture": "lenet"}, viewport=NARROW, errors=("500",))
    page.route("**/rows?pareto=*", lambda route: route.fulfill(status=500, body="no"))
    add_axis(page, "num_classes", "10, 20")
    run_sweep(page, "2 rows: 2 traced")
    note = page.get_by_role("alert")
    expect(note).to_contain_text("The service did not give its front")
    expect(page.get_by_text("2 on the front.")).to_be_visible()
    expect(page.get_by_role("grid", name="Rows of the sweep")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") == NARROW["width"]
    width = page.locator(".tab-panel").evaluate("each => [each.scrollWidth, each.clientWidth]")
    assert width[0] == width[1]
    assert_accessible(page)
    page.unroute("**/rows?pareto=*")
    note.get_by_role("button", name="Ask again").click()
    expect(note).to_have_count(0)
    expect(page.get_by_text("2 on the front.")).to_be_visible()


def test_bounds_of_an_axis_filter_the_table_by_keyboard_and_by_dragging(visit: Visit) -> None:
    page = open_sweep(visit)
    add_axis(page, "depth_multiplier", "0.25, 0.5, 0.75, 1")
    add_axis(page, "num_classes", "10, 20, 30")
    run_sweep(page, "12 rows: 12 traced")
    lower = page.get_by_role("slider", name="depth_multiplier: lower bound")
    lower.focus()
    for _ in range(8):
        page.keyboard.press("ArrowUp")
    expect(lower).to_have_attribute("aria-valuenow", "40")
    expect(page.get_by_text("6 of 12 rows are within the bounds.")).to_be_visible()
    expect(rows(page)).to_have_count(7)
    page.keyboard.press("Escape")
    expect(page.get_by_text("All 12 rows.")).to_be_visible()
    expect(lower).to_be_focused()
    # The axis that is dragged on must stay where it is while the table below loses rows.
    page.get_by_role("region", name="Parallel coordinates").scroll_into_view_if_needed()
    box = page.locator(".parallel-axis").nth(1).locator(".brush-area").bounding_box()
    assert box is not None
    middle = box["x"] + box["width"] / 2
    page.mouse.move(middle, box["y"] + 2)
    page.mouse.down()
    page.mouse.move(middle, box["y"] + box["height"] * 0.3, steps=4)
    page.mouse.up()
    expect(page.get_by_text("4 of 12 rows are within the bounds.")).to_be_visible()
    assert page.locator(".parallel-axis").nth(1).locator(".brush-area").bounding_box() == box
    page.get_by_role("button", name="Show all rows").click()
    expect(rows(page)).to_have_count(13)


def test_the_keyboard_alone_sets_up_runs_sorts_and_opens_a_row(visit: Visit) -> None:
    page = open_sweep(visit, {"architecture": "lenet"})
    page.get_by_label("Add an axis").focus()
    page.keyboard.type("num_c")
    page.keyboard.press("Enter")
    values = page.get_by_label("Values, with commas")
    values.focus()
    page.keyboard.press("Control+a")
    page.keyboard.type("10, 30, 20")
    run = page.get_by_role("button", name="Run the sweep")
    expect(run).to_be_enabled()
    run.focus()
    page.keyboard.press("Enter")
    expect(page.get_by_text("3 rows: 3 traced")).to_be_visible()
    header = page.get_by_role("columnheader", name="parameters", exact=True)
    header.get_by_role("button").focus()
    page.keyboard.press("Enter")
    page.keyboard.press("Enter")
    expect(header).to_have_attribute("aria-sort", "descending")
    rows(page).nth(1).focus()
    expect(rows(page).nth(1)).to_have_attribute("aria-selected", "true")
    page.keyboard.press("ArrowDown")
    expect(rows(page).nth(2)).to_be_focused()
    opener = page.get_by_role("button", name="Open row 2 in the editor")
    opener.focus()
    page.keyboard.press("Enter")
    expect(page.locator(".editor-pane")).to_contain_text("20")
    undo = page.get_by_role("button", name="Undo")
    undo.click()
    expect(undo).to_be_disabled()


def test_what_the_service_refuses_is_said_at_the_axis(visit: Visit) -> None:
    page = open_sweep(visit, {"architecture": "lenet"}, errors=("422",))
    page.get_by_label("Add an axis").select_option(label="dropout_keep_prob")
    page.get_by_role("combobox", name="Values").select_option("draws")
    page.get_by_role("textbox", name="max").fill("much")
    expect(page.get_by_text('This should be a number; received "much".')).to_be_visible()
    expect(page.get_by_role("button", name="Run the sweep")).to_be_disabled()
    assert_accessible(page)
    page.get_by_role("textbox", name="max").fill("0.9")
    page.get_by_role("textbox", name="min").fill("0.1")
    expect(page.get_by_text("5 rows")).to_be_visible()
    page.get_by_role("combobox", name="Rows", exact=True).select_option("random")
    page.get_by_label("How many rows").fill("7")
    expect(page.get_by_text("7 rows")).to_be_visible()
    page.get_by_role("combobox", name="Rows", exact=True).select_option("grid")
    page.get_by_role("combobox", name="Values").select_option("spaced")
    page.get_by_role("textbox", name="How many").fill("100001")
    expect(page.get_by_text("Random draws are not listed.")).to_be_visible()
    page.get_by_role("button", name="Remove Parameters: dropout_keep_prob").click()
    expect(page.get_by_text("Choose what varies")).to_be_visible()


def test_axes_in_step_reordered_and_as_a_document(visit: Visit) -> None:
    page = open_sweep(visit, {"architecture": "lenet"})
    add_axis(page, "num_classes", "10, 20")
    add_axis(page, "weights/seed", "1, 2")
    page.get_by_label("in step with the axis above").check()
    expect(page.get_by_text("2 rows")).to_be_visible()
    page.get_by_text("The sweep as JSON").click()
    document = json.loads(page.locator(".sweep-document pre").inner_text())
    assert document == {
        "spec": {"architecture": "lenet"},
        "axes": {"group_0": {"zip": {"/params/num_classes": [10, 20], "/weights/seed": [1, 2]}}},
    }
    page.get_by_label("in step with the axis above").uncheck()
    page.get_by_role("button", name="Move Spec: weights/seed up").click()
    document = json.loads(page.locator(".sweep-document pre").inner_text())
    assert list(document["axes"]) == ["/weights/seed", "/params/num_classes"]
    assert_accessible(page)


def test_the_table_and_the_plots_are_taken_away(visit: Visit) -> None:
    page = open_sweep(visit, {"architecture": "lenet"})
    add_axis(page, "num_classes", "10, -1, 20")
    run_sweep(page, "3 rows: 2 traced, 1 refused")
    with page.expect_download() as started:
        page.get_by_role("link", name="Download CSV").click()
    table = list(csv.DictReader(io.StringIO(text_of(started.value))))
    assert [row["status"] for row in table] == ["traced", "refused", "traced"]
    page.get_by_label("Up: which is better").select_option("minimize")
    expect(page.get_by_text("1 on the front.")).to_be_visible()
    with page.expect_download() as picture:
        page.get_by_role("button", name="Parallel coordinates as SVG").click()
    drawing = ET.fromstring(text_of(picture.value))
    lines = [path.get("d", "") for path in drawing.iter(f"{{{SVG}}}path")]
    assert sum(line.count("M") for line in lines if "L" in line) == 2
    with page.expect_download() as picture:
        page.get_by_role("button", name="Scatter as SVG").click()
    # What is painted on the page is in the file, and not left in the document.
    assert len(list(ET.fromstring(text_of(picture.value)).iter(f"{{{SVG}}}circle"))) == 1
    expect(page.locator("g.dots, .line-front[d]")).to_have_count(0)
    with page.expect_download() as pixels:
        page.get_by_role("button", name="Scatter as PNG").click()
    assert pixels.value.suggested_filename == "sweep.png"


def text_of(download: Download) -> str:
    return download.path().read_text(encoding="utf-8")


def test_a_sweep_that_is_ended_keeps_its_rows_here_and_none_at_the_service(visit: Visit) -> None:
    page = open_sweep(visit, {"architecture": "inception_v3"})
    add_axis(page, "num_classes", ", ".join(map(str, range(1, 1500))))
    page.get_by_role("button", name="Run the sweep").click()
    expect(rows(page).nth(2)).to_be_visible(timeout=60_000)
    with page.expect_response(lambda answer: answer.request.method == "DELETE") as answer:
        page.get_by_role("button", name="End the sweep").click()
    assert answer.value.status == 204
    expect(page.get_by_text("The service has deleted the sweep")).to_be_visible()
    expect(page.get_by_role("link", name="Download CSV")).to_have_count(0)


ODD = [None, "", "=1+1", 1e308, -1, 0, [1, [2]], {"name": "x"}, True]


def fake_rows(count: int) -> str:
    lines = []
    for index in range(count):
        totals = None if index % 50 == 7 else {"parameters": index % 71, "multiply_adds": None}
        if totals is not None and index % 3:
            totals["multiply_adds"] = (index * 7919) % 5003
        lines.append(
            {
                "index": index,
                "build": None,
                "status": "traced" if totals else "refused",
                "values": {"/params/odd": ODD[index % len(ODD)], "/params/n": index},
                "totals": totals,
                "warnings": 0,
                "problem": None,
                "duplicate_of": None,
            }
        )
    return "\n".join(map(json.dumps, lines))


def test_odd_rows_blank_no_panel(visit: Visit) -> None:
    page = open_sweep(visit, {"architecture": "lenet"})
    grid = page.get_by_role("grid", name="Rows of the sweep")

    def run(count: int) -> None:
        headers = {"Sweep-Rows": str(count), "Location": "/v1/sweeps/0"}

        def answer(route: Route) -> None:
            if "ndjson" not in route.request.url:
                return route.continue_()
            return route.fulfill(
                content_type="application/x-ndjson", headers=headers, body=fake_rows(count)
            )

        page.unroute("**/v1/sweeps?*")
        page.route("**/v1/sweeps?*", answer)
        page.get_by_role("button", name="Run the sweep").click()

    page.route(
        "**/v1/sweeps/0/rows?*", lambda route: route.fulfill(json={"rows": [], "next": None})
    )
    add_axis(page, "num_classes", "10")
    run(0)
    expect(page.get_by_text("The sweep has no rows.")).to_be_visible()
    run(1)
    expect(grid).to_have_attribute("aria-rowcount", "2")
    expect(page.get_by_text("Parallel coordinates show what varies")).to_be_visible()
    assert_accessible(page)
    run(5000)
    expect(grid).to_have_attribute("aria-rowcount", "5001")
    expect(page.get_by_role("alert")).to_have_count(0)
    expect(page.get_by_role("region", name="Parallel coordinates")).to_be_visible()
    expect(page.locator(".scatter svg")).to_have_count(1)
    page.get_by_role("columnheader", name="n", exact=True).get_by_role("button").click()
    page.get_by_role("columnheader", name="n", exact=True).get_by_role("button").click()
    expect(rows(page).nth(1)).to_contain_text("4999")
    rows(page).nth(1).focus()
    page.keyboard.press("End")
    expect(rows(page).last).to_be_focused()
    assert len(rows(page).all()) < 60
    assert_accessible(page)
