"""Journey 3: the graph of the network, collapsed by scope."""

import json
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from page_tests import Visit, assert_accessible, link
from PIL import Image
from playwright.sync_api import Locator, Page, Route, expect

NARROW = {"width": 390, "height": 844}


INCEPTION = link(
    {
        "architecture": "inception_v3",
        "scopes": [{"ops": ["conv2d"], "args": {"activation_fn": "elu"}}],
    }
)
MOBILENET = link(
    {
        "architecture": "mobilenet_v1",
        "scopes": [{"ops": ["batch_norm"], "args": {"decay": 0.9}}],
    }
)


def open_graph(page: Page) -> Locator:
    if (page.viewport_size or NARROW)["width"] < 800:
        page.get_by_role("button", name="Results").click()
    page.get_by_role("tab", name="Graph").click()
    tree = page.get_by_role("tree")
    expect(tree.get_by_role("treeitem").first).to_be_visible()
    return tree


def item(tree: Locator, path: str) -> Locator:
    """The node, or the scope, of this path."""
    return tree.locator(f'[data-item="{path}"]')


def current(page: Page) -> Locator:
    """The item that the keys are at."""
    name = page.get_by_role("tree").get_attribute("aria-activedescendant")
    return page.locator(f'[id="{name}"]')


def test_a_network_is_seen_as_its_blocks_which_open_and_close(visit: Visit) -> None:
    page = visit(INCEPTION)
    tree = open_graph(page)
    expect(page.get_by_text("Depth 2 of 5")).to_be_visible()
    expect(tree.get_by_role("treeitem")).to_have_count(23)
    assert_accessible(page)
    block = item(tree, "InceptionV3/Mixed_5c/")
    expect(block).to_have_attribute("aria-expanded", "false")
    expect(block).to_have_accessible_name(
        "InceptionV3/Mixed_5c, 16 layers, N×35×35×288, 278 k parameters, 339 M multiply-adds, "
        "activation_fn of 7 set by level 0; activation_fn of 7 set by the op's default"
    )
    before = block.bounding_box()
    block.click()
    expect(block).to_have_attribute("aria-expanded", "true")
    expect(item(tree, "InceptionV3/Mixed_5c/Branch_3/")).to_be_visible()
    after = block.bounding_box()
    assert before is not None
    assert after is not None
    assert abs(before["y"] - after["y"]) < 2, "the group that was opened has moved away"
    assert_accessible(page)
    block.locator("[data-toggles]").click()
    expect(block).to_have_attribute("aria-expanded", "false")
    expect(tree.get_by_role("treeitem")).to_have_count(23)


def test_depth_is_stepped_and_all_groups_open_and_close(visit: Visit) -> None:
    page = visit(MOBILENET)
    tree = open_graph(page)
    page.get_by_role("button", name="One level deeper").click()
    expect(page.get_by_text("Depth 3 of 4")).to_be_visible()
    page.get_by_role("button", name="Expand all").click()
    expect(page.get_by_text("Depth 4 of 4")).to_be_visible()
    page.get_by_role("button", name="Collapse all").click()
    expect(tree.get_by_role("treeitem")).to_have_count(2)


def test_keys_walk_open_select_and_zoom(visit: Visit) -> None:
    page = visit(MOBILENET)
    tree = open_graph(page)
    tree.focus()
    expect(current(page)).to_have_attribute("data-item", "input")
    page.keyboard.press("ArrowDown")
    expect(current(page)).to_have_attribute("data-item", "MobilenetV1/")
    page.keyboard.press("Space")
    expect(current(page)).to_have_attribute("aria-expanded", "false")
    page.keyboard.press("Enter")
    expect(current(page)).to_have_attribute("aria-expanded", "true")
    page.keyboard.press("ArrowDown")
    expect(current(page)).to_have_attribute("data-item", "MobilenetV1/Conv2d_0/")
    page.keyboard.press("Enter")
    expect(current(page)).to_have_attribute("aria-selected", "true")
    page.keyboard.press("Space")
    expect(current(page)).to_have_attribute("aria-expanded", "true")
    page.keyboard.press("ArrowDown")
    expect(current(page)).to_have_attribute("data-item", "MobilenetV1/Conv2d_0/Conv2D")
    assert_accessible(page)
    page.keyboard.press("Escape")
    expect(tree.locator('[aria-selected="true"]')).to_have_count(0)
    width = (item(tree, "input").bounding_box() or {})["width"]
    page.keyboard.press("+")
    assert (item(tree, "input").bounding_box() or {})["width"] == pytest.approx(1.25 * width)
    page.keyboard.press("0")
    expect(item(tree, "MobilenetV1/Predictions/Softmax")).to_be_visible()


def test_boxes_are_coloured_by_a_number_with_a_legend(visit: Visit) -> None:
    page = visit(MOBILENET)
    tree = open_graph(page)
    expect(page.get_by_label("Colour by")).to_have_value("decay")
    expect(page.get_by_role("list", name="Who set decay")).to_contain_text("level 0")
    for overlay in ("Parameters", "Multiply-adds", "Activation bytes", "Receptive field"):
        page.get_by_label("Colour by").select_option(label=overlay)
        expect(page.get_by_role("list", name=f"Colours of {overlay.lower()}")).to_be_visible()
        assert_accessible(page)
    expect(item(tree, "MobilenetV1/Conv2d_0/")).to_contain_text("3")


def test_a_level_and_a_warning_mark_the_boxes_that_they_reach(visit: Visit) -> None:
    beaten = {"ops": ["batch_norm"], "args": {"decay": 0.9}}
    levels = [
        {"ops": ["conv2d"], "args": {"activation_fn": "elu"}},
        {
            "ops": ["conv2d"],
            "layers": ["MobilenetV1/Conv2d_3*", "MobilenetV1/Conv2d_4*"],
            "args": {"activation_fn": "relu6"},
        },
        beaten,
        {"ops": ["batch_norm"], "args": {"decay": 0.8}},
    ]
    page = visit(link({"architecture": "mobilenet_v1", "scopes": levels}))
    tree = open_graph(page)
    won, lost = tree.locator(".mark-won"), tree.locator(".mark-lost")
    page.get_by_role("button", name="Level 0 with conv2d").hover()
    # It wins the first layer and eleven pointwise ones; two lose to level 1, one to the network.
    expect(won).to_have_count(12)
    expect(lost).to_have_count(3)
    expect(tree.locator(".corner").first).to_have_text("✓1")
    assert_accessible(page)
    page.get_by_role("button", name="Level 1 with conv2d").hover()
    expect(won).to_have_count(2)
    expect(lost).to_have_count(0)
    page.get_by_role("button", name="Collapse all").click()
    expect(page.get_by_text("Depth 1 of 4")).to_be_visible()
    page.get_by_role("button", name="Level 0 with conv2d").hover()
    expect(tree.locator(".corner")).to_have_text(["✓12 ✗3"])
    page.get_by_role("button", name="One level deeper").hover()
    expect(tree.locator(".corner")).to_have_count(0)
    # A warning marks its layers here as in the table; a closed scope around them has one mark.
    page.get_by_role("button", name="1 warning").click()
    page.get_by_role("button", name="Mark its 27 layers").click()
    open_graph(page)
    expect(tree.locator(".mark-marked")).to_have_count(27)
    page.get_by_role("button", name="One level deeper").click()
    expect(page.get_by_text("Depth 2 of 4")).to_be_visible()
    expect(item(tree, "MobilenetV1/Conv2d_0/")).to_be_visible()
    assert_accessible(page)


def test_a_node_is_found_opened_and_selected(visit: Visit) -> None:
    page = visit(MOBILENET)
    tree = open_graph(page)
    field = page.get_by_role("combobox", name="Find a node or a scope")
    field.fill("no such node")
    expect(page.get_by_text("No node has “no such node” in its name.")).to_be_visible()
    field.fill("pointwise/batchnorm")
    expect(page.get_by_role("listbox").get_by_role("option")).to_have_count(8)
    assert_accessible(page)
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    found = item(tree, "MobilenetV1/Conv2d_2_pointwise/BatchNorm/FusedBatchNorm")
    expect(found).to_be_in_viewport(ratio=1)
    expect(found).to_have_attribute("aria-selected", "true")


def test_all_nodes_of_the_largest_network_are_drawn_and_moved(visit: Visit) -> None:
    page = visit(link({"architecture": "nasnet_large"}))
    tree = open_graph(page)
    expect(tree.get_by_role("treeitem")).to_have_count(26)
    page.get_by_role("button", name="Expand all").click()
    expect(page.get_by_text("Depth 5 of 5")).to_be_visible()
    expect(page.locator(".graph-window")).to_have_attribute("aria-busy", "false")
    page.get_by_role("button", name="Fit").click()
    expect(tree.locator("[data-item]:not([aria-expanded])")).to_have_count(1245)
    expect(tree.get_by_text("reduction_cell_1", exact=True)).to_be_visible()
    before = item(tree, "cell_0/").bounding_box()
    page.mouse.move(700, 500)
    page.mouse.down()
    page.mouse.move(760, 530, steps=3)
    page.mouse.up()
    after = item(tree, "cell_0/").bounding_box()
    assert before is not None
    assert after is not None
    assert (after["x"] - before["x"], after["y"] - before["y"]) == pytest.approx((60, 30), abs=1)
    page.get_by_role("button", name="PNG").click()
    expect(page.get_by_role("alert")).to_contain_text("is too large to draw. Take the SVG")


def test_the_whole_graph_is_taken_away_as_svg_and_png(visit: Visit, tmp_path: Path) -> None:
    page = visit(MOBILENET)
    open_graph(page)
    files = {}
    for kind in ("SVG", "PNG"):
        with page.expect_download() as download:
            page.get_by_role("button", name=kind, exact=True).click()
        assert download.value.suggested_filename == f"mobilenet_v1.{kind.lower()}"
        files[kind] = tmp_path / download.value.suggested_filename
        download.value.save_as(files[kind])
    root = ET.parse(files["SVG"]).getroot()
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    texts = [text.text for text in root.iter("{http://www.w3.org/2000/svg}text")]
    assert "Conv2d_13_pointwise" in texts
    assert not any(each.get("class") for each in root.iter()), "the file has no style sheet"
    with Image.open(files["PNG"]) as image:
        image.load()
        width = float(root.get("width", "0"))
        assert image.width == pytest.approx(2 * width, abs=1)
        assert len(image.convert("RGB").getcolors(1 << 20) or ()) > 20


def test_a_graph_that_does_not_come_says_why_and_is_asked_for_again(visit: Visit) -> None:
    page = visit(MOBILENET, errors=("503",))
    expect(page.locator(".totals")).to_contain_text("4.2")
    problem = {
        "type": "/docs#problem-overloaded",
        "title": "Too many requests at once",
        "detail": "The service is busy.",
        "status": 503,
        "errors": [],
        "request_id": "",
    }

    def refuse(route: Route) -> None:
        body = json.dumps(problem)
        route.fulfill(status=503, content_type="application/problem+json", body=body)

    page.route("**/v1/builds?*include=graph*", refuse)
    page.get_by_role("tab", name="Graph").click()
    expect(page.get_by_role("alert")).to_contain_text("The service is busy.")
    assert_accessible(page)
    page.unroute("**/v1/builds?*include=graph*")
    page.get_by_role("button", name="Try again").click()
    expect(page.get_by_role("tree")).to_be_visible()


def test_a_narrow_window_shows_the_graph(visit: Visit) -> None:
    page = visit(MOBILENET, viewport=NARROW, has_touch=True)
    tree = open_graph(page)
    item(tree, "MobilenetV1/Conv2d_0/").tap()
    expect(item(tree, "MobilenetV1/Conv2d_0/")).to_have_attribute("aria-selected", "true")
    page.get_by_role("button", name="Fit").click()
    assert_accessible(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= NARROW["width"]
