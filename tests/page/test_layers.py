"""Totals, warnings and the table of layers, as one sees them in a browser."""

import json
import re

from page_tests import Visit, assert_accessible, link
from playwright.sync_api import Locator, Page, Route, expect

LENET = link({"architecture": "lenet"})
NARROW = {"width": 390, "height": 844}


def row(page: Page, layer: str) -> Locator:
    return page.locator(f"tr[data-layer='{layer}']")


def cell(page: Page, layer: str, column: str) -> Locator:
    return row(page, layer).locator(f"[data-column='{column}']")


def test_totals_stand_with_exact_numbers(visit: Visit) -> None:
    page = visit()
    totals = page.get_by_role("region", name="Totals")
    parameters = totals.locator(".figure", has_text="Parameters").locator(".figure-value")
    expect(parameters).to_have_text(re.compile(r"^27\.2\sM$"))
    expect(parameters).to_have_attribute(
        "title", re.compile(r"^27\s182\s194, 27\s145\s970 of them trainable$")
    )
    expect(totals.locator(".figure", has_text="Output")).to_contain_text("N×1001")
    expect(page.get_by_role("button", name="Pinned")).to_have_attribute("aria-pressed", "true")
    assert_accessible(page)


def test_an_edit_shows_the_difference_to_the_pinned_build(visit: Visit) -> None:
    page = visit(LENET)
    give_every_convolution_the_outputs_of_the_first(page)
    parameters = page.locator(".figure", has_text="Parameters")
    expect(parameters.locator(".figure-change")).to_have_text(re.compile("^−1.63\\sM$"))
    expect(page.locator(".totals-status")).to_contain_text("Compared with the pinned lenet")
    assert_accessible(page)

    page.get_by_role("button", name="Pin this build").click()
    expect(parameters.locator(".figure-change")).to_be_empty()
    page.get_by_role("button", name="Undo").click()
    expect(parameters.locator(".figure-change")).to_have_text(re.compile("^\\+1.63\\sM$"))
    pin = page.get_by_role("button", name="Pin this build")
    pin.click()
    page.get_by_role("button", name="Pinned").click()
    expect(page.locator(".totals-status")).to_contain_text("No build is pinned")


def test_the_last_good_build_stays_while_the_draft_has_a_problem(visit: Visit) -> None:
    page = visit(link({"architecture": "inception_v3"}), errors=("422",))
    cell(page, "InceptionV3/Conv2d_1a_3x3", "op").click()
    inspector = page.get_by_role("complementary", name="Inspector")
    inspector.get_by_role("button", name="stride").click()
    inspector.get_by_role("button", name="Override in this block").click()
    bar = page.get_by_role("region", name="Totals")
    expect(bar.locator(".is-problem")).to_contain_text("the last good build is shown")
    expect(bar).to_contain_text("27.2")
    expect(row(page, "InceptionV3/Conv2d_1a_3x3")).to_be_visible()
    assert_accessible(page)


def test_a_warning_leads_to_its_level_and_its_layers(visit: Visit) -> None:
    page = visit()
    page.get_by_role("button", name="3 warnings").click()
    warnings = page.get_by_role("region", name="Warnings")
    first = warnings.get_by_role("listitem").first
    expect(first).to_contain_text("/scopes/1/args/decay this override of batch_norm")
    expect(first.get_by_role("button", name="Edit level 1")).to_be_visible()
    assert_accessible(page)
    first.get_by_role("button", name="Mark its 96 layers").click()
    expect(warnings).to_be_hidden()
    expect(row(page, "InceptionV3/Conv2d_1a_3x3/BatchNorm")).to_have_class(re.compile("is-marked"))
    page.get_by_role("button", name="Only the 96 marked").click()
    expect(page.get_by_role("status")).to_have_text("96 of 229 layers")
    assert_accessible(page)
    page.get_by_role("button", name="Clear marks").click()
    expect(page.get_by_role("status")).to_have_text("229 layers")


def test_escape_closes_the_warnings(visit: Visit) -> None:
    page = visit()
    button = page.get_by_role("button", name="3 warnings")
    button.click()
    page.keyboard.press("Tab")
    page.keyboard.press("Escape")
    expect(page.get_by_role("region", name="Warnings")).to_be_hidden()
    expect(button).to_be_focused()


def test_arguments_show_who_set_them_and_whom_they_beat(visit: Visit) -> None:
    page = visit()
    won = cell(page, "InceptionV3/Conv2d_1a_3x3", "argument:activation_fn")
    expect(won).to_have_text("0relu6")
    expect(won.locator(".set-value")).to_have_attribute(
        "title", "relu6: set by level 0; beat relu (the default scope)"
    )
    lost = cell(page, "InceptionV3/Conv2d_1a_3x3/BatchNorm", "argument:decay")
    expect(lost).to_have_text("D0.99971")
    expect(lost.locator(".is-beaten")).to_have_text("1")


def test_a_level_lights_up_the_layers_that_it_reaches(visit: Visit) -> None:
    page = visit()
    expect(cell(page, "InceptionV3/Conv2d_1a_3x3", "argument:activation_fn")).to_contain_text("0")
    page.get_by_role("button", name="level 0", exact=True).hover()
    won = row(page, "InceptionV3/Conv2d_1a_3x3")
    expect(won).to_have_class(re.compile("fate-won"))
    expect(won).to_contain_text("✓")
    expect(row(page, "input")).to_have_class(re.compile("fate-out"))
    assert_accessible(page)
    page.get_by_role("button", name="level 1", exact=True).focus()
    lost = row(page, "InceptionV3/Conv2d_1a_3x3/BatchNorm")
    expect(lost).to_have_class(re.compile("fate-lost"))
    expect(lost).to_contain_text("✗")


def test_the_filter_takes_texts_and_patterns(visit: Visit) -> None:
    page = visit()
    expect(row(page, "InceptionV3/Conv2d_1a_3x3")).to_be_visible()
    page.keyboard.press("/")
    field = page.get_by_role("searchbox", name="Filter layers by name or op")
    expect(field).to_be_focused()
    page.keyboard.type("mixed_5b/branch_0")
    expect(page.get_by_role("status")).to_have_text("2 of 229 layers")
    field.fill("*/Conv2d_1a_3x3")
    expect(page.get_by_role("status")).to_have_text("3 of 229 layers")
    field.fill("nothing (like) this")
    expect(page.get_by_text("No layer fits")).to_be_visible()
    assert_accessible(page)
    field.press("Escape")
    expect(field).to_have_value("")
    expect(page.get_by_role("status")).to_have_text("229 layers")


def test_a_column_sorts_both_ways_and_back(visit: Visit) -> None:
    page = visit(LENET)
    head = page.get_by_role("columnheader", name="Parameters")
    first = page.locator("tbody tr").first
    expect(first).to_have_attribute("data-layer", "input")
    head.get_by_role("button").click()
    expect(head).to_have_attribute("aria-sort", "descending")
    expect(first).to_have_attribute("data-layer", "LeNet/fc3")
    head.get_by_role("button").click()
    expect(head).to_have_attribute("aria-sort", "ascending")
    head.get_by_role("button").click()
    expect(head).to_have_attribute("aria-sort", "none")
    expect(first).to_have_attribute("data-layer", "input")


def test_chosen_columns_are_kept_for_the_next_visit(visit: Visit) -> None:
    page = visit(LENET)
    page.get_by_role("button", name="Columns").click()
    page.get_by_role("checkbox", name="kernel_size").check()
    page.get_by_role("checkbox", name="Field", exact=True).uncheck()
    page.get_by_role("checkbox", name="Stride", exact=True).check()
    assert_accessible(page)
    page.reload()
    expect(cell(page, "LeNet/conv1", "argument:kernel_size")).to_have_text("N[5, 5]")
    expect(page.get_by_role("columnheader", name="Field")).to_be_hidden()
    expect(page.get_by_role("columnheader", name="Stride")).to_be_visible()
    page.get_by_role("button", name="Columns").click()
    page.get_by_role("button", name="What matters in this build").click()
    expect(page.get_by_role("columnheader", name="kernel_size")).to_be_hidden()


def test_names_get_the_width_that_one_gives_them(visit: Visit) -> None:
    page = visit(LENET)
    head = page.get_by_role("columnheader", name="Layer")
    handle = head.get_by_role("button", name="Width of the layers' names")
    before = width(head)
    handle.press("ArrowRight")
    wider = width(head)
    assert wider > before
    box = handle.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.mouse.down()
    page.mouse.move(box["x"] + 120, box["y"] + 5)
    page.mouse.up()
    assert width(head) > wider + 60
    handle.dblclick()
    assert width(head) == before


def test_the_number_of_a_level_leads_to_its_block(visit: Visit) -> None:
    page = visit(viewport=NARROW)
    block = page.get_by_role("button", name=re.compile("^Level 1 "))
    results = page.get_by_role("button", name="Results")

    results.click()
    page.get_by_role("button", name="level 1").click()  # in the legend
    expect(block).to_be_focused()
    expect(results).to_have_attribute("aria-pressed", "false")

    results.click()
    cell(page, "InceptionV3/Conv2d_1a_3x3/BatchNorm", "argument:decay").get_by_text(
        "1", exact=True
    ).click()
    expect(block).to_be_focused()
    expect(page.get_by_role("complementary", name="Inspector")).to_be_hidden()

    results.click()
    cell(page, "InceptionV3/Conv2d_1a_3x3/BatchNorm", "name").click()
    page.get_by_role("button", name="Edit level 1").first.click()
    expect(block).to_be_focused()

    results.click()
    page.get_by_role("button", name="Close the inspector").click()
    page.get_by_role("button", name="3 warnings").click()
    page.get_by_role("button", name="Edit level 1").first.click()
    expect(block).to_be_focused()


def width(element: Locator) -> float:
    box = element.bounding_box()
    assert box is not None
    return box["width"]


def test_a_thousand_layers_render_only_the_rows_in_view(visit: Visit) -> None:
    page = visit(link({"architecture": "nasnet_large"}))
    grid = page.get_by_role("grid", name="Layers")
    expect(grid).to_have_attribute("aria-rowcount", "1008")
    first = cell(page, "input", "name")
    expect(first).to_have_attribute("tabindex", "0")
    first.focus()
    page.keyboard.press("End")
    last = page.locator("tr[aria-rowindex='1008']")
    expect(last.locator("[data-column='name']")).to_be_focused()
    expect(last).to_be_in_viewport()
    assert page.locator("tr[data-layer]").count() < 80
    page.keyboard.press("ArrowUp")
    page.keyboard.press("ArrowRight")
    expect(page.locator("tr[aria-rowindex='1007'] [data-column='op']")).to_be_focused()
    page.keyboard.press("PageUp")
    expect(page.locator("tr[aria-rowindex='1007'] [data-column='op']")).not_to_be_focused()
    page.keyboard.press("Home")
    expect(cell(page, "input", "op")).to_be_focused()
    expect(cell(page, "input", "op")).to_be_in_viewport()
    assert_accessible(page)


def test_a_layer_of_the_address_is_brought_into_view(visit: Visit) -> None:
    layer = "InceptionV3/Mixed_7c/concat"
    page = visit(link({"architecture": "inception_v3"}, layer))
    expect(row(page, layer)).to_be_in_viewport()
    expect(row(page, layer)).to_have_attribute("aria-selected", "true")


def test_values_stay_until_those_of_the_next_build_have_come(visit: Visit) -> None:
    page = visit(LENET)
    value = cell(page, "LeNet/conv2", "argument:activation_fn")
    expect(value).to_contain_text("relu")
    held: list[Route] = []
    explanation = "**/v1/builds?*include=explanation*"
    page.route(explanation, lambda route: held.append(route))
    with page.expect_request(explanation):  # it follows the trace, when typing pauses
        give_every_convolution_the_outputs_of_the_first(page)
    expect(cell(page, "LeNet/conv2", "output_shape")).to_have_text("N×14×14×32")
    expect(value).to_contain_text("relu")
    for route in held:
        route.continue_()
    page.get_by_role("button", name="Columns").click()
    page.get_by_role("checkbox", name="num_outputs").check()
    expect(cell(page, "LeNet/conv2", "argument:num_outputs")).to_have_text("032")


def test_without_an_explanation_the_table_stands_and_says_why(visit: Visit) -> None:
    problem = {
        "type": "/docs#problem-queue-full",
        "title": "Too many requests",
        "status": 503,
        "detail": "The queue is full.",
        "errors": [],
        "request_id": "",
    }
    page = visit(LENET, errors=("503",))
    expect(cell(page, "LeNet/conv2", "argument:activation_fn")).to_contain_text("relu")
    page.route(
        "**/v1/builds?*include=explanation*",
        lambda route: route.fulfill(
            status=503, content_type="application/problem+json", body=json.dumps(problem)
        ),
    )
    give_every_convolution_the_outputs_of_the_first(page)
    panel = page.get_by_role("tabpanel", name="Layers")
    expect(panel.get_by_role("alert")).to_contain_text("The queue is full.")
    expect(cell(page, "LeNet/conv2", "output_shape")).to_have_text("N×14×14×32")
    assert_accessible(page)
    page.unroute_all()
    panel.get_by_role("button", name="Try again").click()
    expect(panel.get_by_role("alert")).to_be_hidden()


def test_a_narrow_window_shows_totals_and_table(visit: Visit) -> None:
    page = visit(viewport=NARROW)
    page.get_by_role("button", name="Results").click()
    expect(row(page, "InceptionV3/Conv2d_1a_3x3")).to_be_in_viewport()
    expect(page.locator(".figure", has_text="Output")).to_be_in_viewport()
    page.get_by_role("button", name="3 warnings").click()
    expect(page.get_by_role("button", name="Edit level 3")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert_accessible(page)


def give_every_convolution_the_outputs_of_the_first(page: Page) -> None:
    """Edit LeNet with what the page has: conv1's 32 outputs for all convolutions, by force."""
    cell(page, "LeNet/conv1", "op").click()
    inspector = page.get_by_role("complementary", name="Inspector")
    inspector.get_by_role("button", name="num_outputs").click()
    inspector.get_by_role("button", name="Override in this block").click()
