"""Who set an argument and why: the inspector, and overrides that it writes."""

import re

from page_tests import Visit, assert_accessible, link
from playwright.sync_api import Locator, Page, expect

CONV = "InceptionV3/Conv2d_1a_3x3"
NORM = f"{CONV}/BatchNorm"


def cell(page: Page, layer: str, column: str) -> Locator:
    return page.locator(f"tr[data-layer='{layer}'] [data-column='{column}']")


def inspector_of(page: Page) -> Locator:
    return page.get_by_role("complementary", name="Inspector")


def chain(page: Page, argument: str) -> Locator:
    return inspector_of(page).get_by_role("list", name=f"Who set {argument}", exact=True)


def test_an_argument_shows_who_won_over_whom(visit: Visit) -> None:
    page = visit()
    cell(page, NORM, "argument:decay").click()
    expect(inspector_of(page).get_by_role("heading", name=NORM)).to_be_focused()
    links = chain(page, "decay").get_by_role("listitem")
    expect(links).to_have_count(2)
    winner, loser = links.nth(0), links.nth(1)
    expect(winner.locator("strong")).to_have_text("0.9997")
    expect(winner).to_contain_text("wins: the default scope, passed in the call")
    expect(winner).to_contain_text("normalizer_params of conv2d")
    expect(loser.locator("s")).to_have_text("0.997")
    expect(loser).to_contain_text("beaten: level 1")
    expect(loser.get_by_role("button", name="Edit level 1")).to_be_visible()
    expect(inspector_of(page)).to_contain_text("a number of at least 0 and of at most 1")
    assert_accessible(page)


def test_escape_gives_the_focus_back_to_the_cell(visit: Visit) -> None:
    page = visit()
    expect(cell(page, CONV, "argument:activation_fn")).to_contain_text("relu6")
    cell(page, "input", "name").focus()
    page.keyboard.press("ArrowDown")
    for _ in range(7):
        page.keyboard.press("ArrowRight")
    target = cell(page, CONV, "argument:activation_fn")
    expect(target).to_be_focused()
    page.keyboard.press("Enter")
    expect(inspector_of(page).get_by_role("heading", name=CONV)).to_be_focused()
    expect(chain(page, "activation_fn")).to_contain_text("wins: level 0")
    page.keyboard.press("Escape")
    expect(inspector_of(page)).to_be_hidden()
    expect(target).to_be_focused()


def test_the_close_button_closes_and_another_row_replaces(visit: Visit) -> None:
    page = visit()
    cell(page, CONV, "op").click()
    cell(page, NORM, "op").click()
    expect(inspector_of(page).get_by_role("heading", name=NORM)).to_be_visible()
    inspector_of(page).get_by_role("button", name="Close the inspector").click()
    expect(inspector_of(page)).to_be_hidden()


def test_override_here_is_forced_where_it_would_be_beaten(visit: Visit) -> None:
    page = visit()
    cell(page, NORM, "argument:decay").click()
    inspector = inspector_of(page)
    force = inspector.get_by_role("checkbox", name="force")
    expect(force).to_be_checked()
    expect(inspector).to_contain_text("passed in the call itself, which beats every scope")
    force.uncheck()
    expect(inspector).to_contain_text("Without force, the new level will be beaten.")
    force.check()
    inspector.get_by_role("button", name="Override here").click()
    first = chain(page, "decay").get_by_role("listitem").first
    expect(first).to_contain_text("wins: level 4, by force")
    expect(first).to_contain_text("/scopes/4/args/decay")
    other = cell(page, "InceptionV3/Conv2d_2a_3x3/BatchNorm", "argument:decay")
    expect(other).to_have_text("D0.99971")
    assert_accessible(page)
    page.get_by_role("button", name="Undo").click()
    expect(first).to_contain_text("wins: the default scope")


def test_override_in_a_block_reaches_its_layers(visit: Visit) -> None:
    page = visit(link({"architecture": "lenet"}))
    cell(page, "LeNet/conv1", "argument:activation_fn").click()
    inspector = inspector_of(page)
    expect(inspector.get_by_role("checkbox", name="force")).not_to_be_checked()
    expect(inspector.get_by_role("combobox", name="Block")).to_have_value("LeNet/*")
    inspector.get_by_role("button", name="Override in this block").click()
    for layer in ("LeNet/conv1", "LeNet/conv2"):
        expect(cell(page, layer, "argument:activation_fn")).to_have_text(re.compile("^0relu"))
    expect(cell(page, "LeNet/fc3", "argument:activation_fn")).not_to_have_text(re.compile("^0"))


def test_what_a_call_is_fed_cannot_be_overridden(visit: Visit) -> None:
    page = visit(link({"architecture": "lenet"}))
    cell(page, "LeNet/conv1", "op").click()
    inspector = inspector_of(page)
    inspector.get_by_role("button", name="inputs").click()
    expect(inspector).to_contain_text("The network gives it to this one call; no scope can.")
    expect(inspector.get_by_role("button", name="Override here")).to_be_hidden()


def test_defaults_are_there_when_asked_for(visit: Visit) -> None:
    page = visit(link({"architecture": "lenet"}))
    cell(page, "LeNet/conv1", "op").click()
    inspector = inspector_of(page)
    inspector.get_by_text(re.compile("defaults of the op")).click()
    expect(chain(page, "trainable")).to_contain_text("the op's default")
    assert_accessible(page)


def test_a_layer_without_a_call_says_so_and_shows_the_calls_around_it(visit: Visit) -> None:
    page = visit(link({"architecture": "lenet"}))
    cell(page, "input", "name").click()
    expect(inspector_of(page)).to_contain_text("This layer has no arguments")


def test_a_block_that_is_called_is_explained_at_its_layers(visit: Visit) -> None:
    page = visit(link({"architecture": "resnet_v1_50"}))
    cell(page, "resnet_v1_50/block1/unit_1/bottleneck_v1/conv1", "op").click()
    around = inspector_of(page).get_by_role("region", name="Call of stack_blocks_dense")
    expect(around).to_be_visible()
    expect(around).to_contain_text("store_non_strided_activations")


def test_in_a_narrow_window_the_inspector_is_a_sheet(visit: Visit) -> None:
    page = visit(viewport={"width": 390, "height": 844})
    page.get_by_role("button", name="Results").click()
    cell(page, CONV, "name").click()
    box = inspector_of(page).bounding_box()
    assert box is not None
    assert (box["x"], box["width"]) == (0, 390)
    expect(chain(page, "activation_fn")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert_accessible(page)
    inspector_of(page).get_by_role("button", name="Close the inspector").click()
    expect(inspector_of(page)).to_be_hidden()
