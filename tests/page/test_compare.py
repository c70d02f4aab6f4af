"""Compare: the diff of two builds, and the history of all that were tried."""

import re
from typing import Any

import pytest
from page_tests import Visit, assert_accessible, link
from playwright.sync_api import Locator, Page, expect

V1 = {"architecture": "mobilenet_v1"}
ELU: dict[str, Any] = {
    **V1,
    "params": {"num_classes": 11},
    "scopes": [
        {"ops": ["conv2d"], "args": {"activation_fn": "elu"}},
        {
            "ops": ["separable_conv2d"],
            "layers": ["MobilenetV1/Conv2d_3*"],
            "args": {"normalizer_fn": None},
        },
    ],
}


def edit(page: Page, spec: dict[str, Any], parameters: str) -> None:
    """Replace the draft, and wait for its totals."""
    page.evaluate("fragment => { location.hash = fragment }", link(spec))
    expect(page.locator(".totals")).to_contain_text(parameters)


def compare(page: Page) -> Locator:
    page.get_by_role("tab", name="Compare").click()
    return page.get_by_role("tabpanel", name="Compare")


def open_both(visit: Visit, **options: object) -> Page:
    """Open MobileNet v1, which is pinned, and edit it."""
    page = visit(link(V1), **options)
    expect(page.locator(".totals")).to_contain_text("4.25")
    edit(page, ELU, "3.24")
    return page


def row(panel: Locator, *texts: str) -> Locator:
    rows = panel.get_by_role("row")
    for text in texts:
        rows = rows.filter(has_text=text)
    return rows


# Diff -----------------------------------------------------------------------------------------


def test_the_live_build_is_compared_with_the_pinned_one(visit: Visit) -> None:
    page = open_both(visit)
    panel = compare(page)
    expect(row(panel, "Parameters", "4.25", "3.24")).to_contain_text("−1.02")
    expect(row(panel, "Peak").get_by_role("cell").last).to_have_text("±0")
    changes = panel.get_by_role("region", name="Changes of the spec")
    expect(changes.get_by_role("listitem")).to_have_text(
        [
            "~/params/num_classes1001 → 11",
            "+/scopes/0conv2d activation_fn=elu",
            "+/scopes/1separable_conv2d normalizer_fn=null layers [MobilenetV1/Conv2d_3*]",
        ]
    )
    expect(panel.get_by_text("41 the same")).to_be_visible()
    expect(panel.get_by_text("131 variables")).to_contain_text("75.9 % of A and 99.6 % of B")
    grid = panel.get_by_role("grid")
    expect(row(grid, "Conv2d_3_depthwise separable")).to_contain_text("~changed")
    expect(row(grid, "separable_conv2d.normalizer_fn")).to_contain_text(
        "batch_norm set by the default scope → 1 null set by level 1"
    )
    expect(row(grid, "Conv2d_3_depthwise/BatchNorm")).to_contain_text("−removed")
    assert_accessible(page)


def test_layers_are_filtered_by_what_became_of_them(visit: Visit) -> None:
    page = open_both(visit)
    panel = compare(page)
    grid = panel.get_by_role("grid")
    changed = panel.get_by_role("button", name="18 changed")
    expect(changed).to_have_attribute("aria-pressed", "true")
    expect(panel.get_by_role("button", name="0 renamed")).to_be_disabled()
    changed.click()
    expect(grid.get_by_role("row")).to_have_count(2)
    panel.get_by_role("button", name="1 removed").click()
    expect(panel.get_by_text("layers that differ are of a kind that is hidden")).to_be_visible()


def test_a_row_selects_its_layer_with_the_keyboard(visit: Visit) -> None:
    page = open_both(visit)
    grid = compare(page).get_by_role("grid")
    first = row(grid, "MobilenetV1/Conv2d_0 conv2d")
    first.focus()
    page.keyboard.press("Enter")
    expect(first).to_have_attribute("aria-selected", "true")
    page.wait_for_url("**&layer=MobilenetV1/Conv2d_0")
    page.keyboard.press("End")
    expect(grid.locator("tr:focus")).to_contain_text("MobilenetV1/Predictions")
    page.keyboard.press("Home")
    page.keyboard.press("ArrowDown")
    expect(grid.locator("tr:focus")).to_contain_text("conv2d.activation_fn")


def test_renamed_and_added_layers_have_signs_of_their_own(visit: Visit) -> None:
    page = visit(link({"architecture": "resnet_v1_50"}))
    expect(page.locator(".totals")).to_contain_text("25.6 M")
    edit(page, {"architecture": "resnet_v2_50"}, "25.6")
    panel = compare(page)
    added = panel.get_by_role("button", name="added")
    expect(added).to_be_enabled()
    expect(added).to_contain_text("+")
    expect(row(panel.get_by_role("grid"), "renamed").first).to_contain_text(
        "resnet_v1_50/Pad → resnet_v2_50/Pad"
    )


def test_sides_are_swapped_and_the_same_build_is_told(visit: Visit) -> None:
    page = open_both(visit)
    panel = compare(page)
    expect(row(panel, "Parameters", "4.25", "3.24")).to_contain_text("−1.02")
    panel.get_by_role("button", name="Swap").click()
    expect(row(panel, "Parameters", "3.24", "4.25")).to_contain_text("+1.02")
    panel.get_by_role("combobox", name="A").select_option("pinned")
    expect(panel.get_by_text("A and B are the same build")).to_be_visible()
    assert_accessible(page)


def test_a_large_diff_renders_the_rows_in_view_alone(visit: Visit) -> None:
    page = visit(link(V1))
    expect(page.locator(".totals")).to_contain_text("4.25")
    edit(page, {"architecture": "nasnet_large"}, "89")
    grid = compare(page).get_by_role("grid")
    expect(row(grid, "cell_stem_0/1x1")).to_be_visible()
    assert grid.get_by_role("row").count() < 80
    assert int(grid.get_attribute("aria-rowcount") or 0) > 1000


def test_a_diff_that_fails_fails_alone_and_is_asked_for_again(visit: Visit) -> None:
    page = open_both(visit, errors=("Failed to load",))
    page.route("**/v1/diff", lambda route: route.abort(), times=1)
    panel = compare(page)
    expect(panel.get_by_role("alert")).to_contain_text("The service does not answer")
    panel.get_by_role("button", name="Try again").click()
    expect(row(panel, "Parameters", "4.25", "3.24")).to_be_visible()


def test_the_diff_works_in_a_narrow_window(visit: Visit) -> None:
    page = open_both(visit, viewport={"width": 390, "height": 844})
    page.get_by_role("button", name="Results").click()
    panel = compare(page)
    expect(row(panel, "Parameters", "4.25", "3.24")).to_be_visible()
    assert page.evaluate("document.scrollingElement.scrollWidth - innerWidth") <= 0
    assert_accessible(page)
    panel.get_by_role("tab", name="History").click()
    expect(row(panel, "+ params")).to_be_visible()
    assert_accessible(page)


# History --------------------------------------------------------------------------------------


def history(page: Page) -> Locator:
    panel = compare(page)
    panel.get_by_role("tab", name="History").click()
    return panel.get_by_role("table")


def test_the_history_tells_what_changed_and_restores_as_an_edit(visit: Visit) -> None:
    page = open_both(visit)
    table = history(page)
    expect(table.get_by_role("rowheader")).to_have_text(
        ["+ params: {num_classes: 11}, and 2 more", "mobilenet_v1"]
    )
    newest, oldest = table.locator("tbody tr").nth(0), table.locator("tbody tr").nth(1)
    expect(newest).to_contain_text("−1.02")
    expect(newest.get_by_role("button", name="Live")).to_have_attribute("aria-disabled", "true")
    assert_accessible(page)
    oldest.get_by_role("button", name="Restore").click()
    expect(page.locator(".totals")).to_contain_text("4.25")
    page.get_by_role("button", name="Undo").click()
    expect(page.locator(".totals")).to_contain_text("3.24")


def test_another_build_is_pinned_and_any_two_are_compared(visit: Visit) -> None:
    page = open_both(visit)
    edit(page, {"architecture": "lenet"}, "3.27")
    table = history(page)
    rows = table.locator("tbody tr")
    expect(rows.nth(2).get_by_role("button", name="Pin")).to_have_attribute("aria-pressed", "true")
    rows.nth(1).get_by_role("button", name="Pin").click()
    expect(rows.nth(1).get_by_role("button", name="Pin")).to_have_attribute("aria-pressed", "true")
    expect(rows.nth(2)).to_contain_text("+1.02")
    rows.nth(1).get_by_role("button", name="as A").click()
    rows.nth(2).get_by_role("button", name="as B").click()
    panel = compare(page)
    panel.get_by_role("tab", name="Diff").click()
    expect(row(panel, "Parameters", "3.24", "4.25")).to_contain_text("+1.02")


def test_the_history_is_walked_with_the_arrow_keys(visit: Visit) -> None:
    page = open_both(visit)
    rows = history(page).locator("tbody tr")
    rows.nth(0).get_by_role("button", name="Pin").focus()
    page.keyboard.press("ArrowDown")
    expect(rows.nth(1).get_by_role("button", name="Pin")).to_be_focused()
    page.keyboard.press("ArrowUp")
    page.keyboard.press("Enter")
    expect(rows.nth(0).get_by_role("button", name="Pin")).to_have_attribute("aria-pressed", "true")


# Graph ----------------------------------------------------------------------------------------


def test_the_graphs_of_both_builds_show_what_differs_and_select_together(visit: Visit) -> None:
    page = open_both(visit)
    panel = compare(page)
    panel.get_by_role("button", name="Graph", exact=True).click()
    trees = [panel.get_by_role("tree", name=f"Graph of {side}, mobilenet_v1") for side in "ab"]

    def items(path: str) -> list[Locator]:
        return [tree.locator(f'[data-item="{path}"]') for tree in trees]

    # A closed scope counts what differs in it; the layer that is gone is counted on both sides.
    for scope in items("MobilenetV1/Conv2d_3_depthwise/"):
        expect(scope).to_contain_text("~1 −1")
        expect(scope).to_have_accessible_name(re.compile("1 changed, 1 removed$"))
    for scope in items("MobilenetV1/Conv2d_2_depthwise/"):
        expect(scope).to_have_accessible_name(re.compile("the same$"))
    assert_accessible(page)
    # What is opened on one side opens on the other, and stands as high.
    here, there = items("MobilenetV1/Conv2d_3_depthwise/")
    here.locator("[data-toggles]").click()
    expect(there).to_have_attribute("aria-expanded", "true")
    removed = trees[0].get_by_role("treeitem", name=re.compile("FusedBatchNorm.*removed$"))
    expect(removed).to_have_count(1)
    expect(removed).to_contain_text("−")
    heights = [(scope.bounding_box() or {})["y"] for scope in (here, there)]
    assert heights[0] == pytest.approx(heights[1], abs=1)
    # The layer that is selected on one side is selected on the other.
    conv = items("MobilenetV1/Conv2d_1_pointwise/")
    conv[1].click()
    for each in conv:
        expect(each).to_have_attribute("aria-selected", "true")
    conv[0].hover()
    for tree in trees:
        expect(tree.locator(".mark-hovered")).to_have_count(1)
    # By keyboard, too.
    trees[0].focus()
    page.keyboard.press("ArrowDown")
    for each in items("MobilenetV1/Conv2d_2_depthwise/"):
        expect(each).to_be_in_viewport()
    page.keyboard.press("Enter")
    for each in items("MobilenetV1/Conv2d_2_depthwise/"):
        expect(each).to_have_attribute("aria-selected", "true")
    panel.get_by_role("button", name="Collapse all").click()
    for root in items("MobilenetV1/"):
        expect(root).to_contain_text("~18 −1")
    assert_accessible(page)
