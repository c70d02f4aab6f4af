"""Editing the spec: in fields, in nested levels, and as JSON."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from page_tests import Visit, assert_accessible, link
from playwright.sync_api import Locator, Page, Request, expect

REFUSED = ("422",)
NARROW = {"width": 390, "height": 844}

Spec = dict[str, Any]


def lenet(*scopes: Spec, **fields: object) -> str:
    return link({"architecture": "lenet", **fields, "scopes": list(scopes)})


@contextmanager
def sends(page: Page, is_meant: Callable[[Spec], bool]) -> Iterator[None]:
    """Wait until the page has asked for a build of a spec such as is meant."""

    def fits(request: Request) -> bool:
        is_build = request.method == "POST" and "/v1/builds?keep=false" in request.url
        return is_build and is_meant(request.post_data_json or {})

    with page.expect_request(fits):
        yield


def head(page: Page, number: int, text: str = "") -> Locator:
    """Return what opens the block of a level: the name begins with its number."""
    return page.get_by_role("button", name=re.compile(rf"^Level {number} .*{text}"))


def level(page: Page, number: int) -> Locator:
    return page.get_by_role("listitem").filter(has=head(page, number))


def choose(field: Locator, text: str) -> None:
    field.fill(text)
    field.press("Enter")


CONV = {"ops": ["conv2d"], "args": {"activation_fn": "relu6"}}
DENSE = {"ops": ["fully_connected"], "args": {"activation_fn": "tanh"}}


def test_a_level_is_added_and_told_what_became_of_it(visit: Visit) -> None:
    page = visit(lenet())
    page.get_by_role("button", name="Add a level").click()
    expect(head(page, 0, "conv2d")).to_be_focused()
    choose(page.get_by_role("combobox", name="Add an op to ops"), "fully_con")
    # Both ops take it, and padding only one of them.
    arguments = page.get_by_role("combobox", name="Add an argument to args")
    arguments.fill("pad")
    expect(page.get_by_text("None is left to choose.")).to_be_visible()
    choose(arguments, "activation")
    with sends(page, lambda spec: spec["scopes"][0]["args"] == {"activation_fn": "tanh"}):
        page.get_by_role("combobox", name="activation_fn", exact=True).select_option("tanh")
    expect(level(page, 0)).to_contain_text("won 3 of 4 calls; lost 1 to the network")
    assert_accessible(page)


def test_a_mistake_stands_at_its_field_with_what_would_help(visit: Visit) -> None:
    wrong = {"ops": ["conv2d"], "args": {"pading": "SAME", "activation_fn": "reluu"}}
    page = visit(lenet(wrong, params={"num_clases": 5}), errors=REFUSED)
    field = page.get_by_role("textbox", name="num_clases")
    expect(field).to_have_attribute("aria-invalid", "true")
    expect(field).to_have_accessible_description(
        "lenet has no argument 'num_clases'. Did you mean 'num_classes'?"
    )
    assert_accessible(page)
    page.get_by_role("button", name="Use num_classes").click()
    expect(page.get_by_role("textbox", name="num_classes")).to_have_value("5")

    padding = page.get_by_role("textbox", name="pading")
    expect(padding).to_have_attribute("aria-invalid", "true")
    page.get_by_role("button", name="Use padding").click()
    expect(page.get_by_role("combobox", name="padding")).to_have_value('"SAME"')
    activation = page.get_by_role("combobox", name="activation_fn", exact=True)
    expect(activation).to_have_attribute("aria-invalid", "true")
    with sends(page, lambda spec: spec["scopes"][0]["args"]["activation_fn"] == "relu"):
        page.get_by_role("button", name="Use relu", exact=True).click()
    expect(page.locator("[aria-invalid=true]")).to_have_count(0)


def test_a_mistake_that_no_field_shows_stands_at_the_top(visit: Visit) -> None:
    page = visit(lenet(colour=1), errors=REFUSED)
    problems = page.locator(".problems")
    expect(problems).to_contain_text("There is no field 'colour'.")
    page.get_by_role("button", name="Remove colour").click()
    expect(problems).to_have_count(0)


def test_levels_are_switched_off_copied_removed_and_brought_back(visit: Visit) -> None:
    page = visit(lenet(CONV, DENSE))
    with sends(page, lambda spec: spec["scopes"] == [DENSE]):
        page.get_by_role("checkbox", name="Level 0 is on").uncheck()
    off = page.get_by_role("button", name="with conv2d (switched off)")
    expect(off).to_be_visible()
    # The other level is the first of those that are sent, and has its number and colour.
    expect(level(page, 0)).to_contain_text("fully_connected")
    with sends(page, lambda spec: spec["scopes"] == [DENSE, DENSE]):
        page.get_by_role("button", name="Duplicate level 0").click()
    expect(head(page, 1, "fully_connected")).to_be_focused()
    page.get_by_role("button", name="Remove level 1").click()
    expect(head(page, 0, "fully_connected")).to_be_focused()
    assert_accessible(page)
    undo = page.get_by_role("button", name="Undo")
    undo.click()
    undo.click()
    with sends(page, lambda spec: spec["scopes"] == [CONV, DENSE]):
        undo.click()


def test_a_level_is_dragged_outward(visit: Visit) -> None:
    page = visit(lenet(CONV, DENSE))
    with sends(page, lambda spec: spec["scopes"] == [DENSE, CONV]):
        level(page, 1).locator(".grip").drag_to(level(page, 0), target_position={"x": 60, "y": 4})
    expect(page.get_by_text("Moved to place 1 of 2, the outermost.")).to_be_attached()


def test_keys_in_one_field_are_one_step_of_undo(visit: Visit) -> None:
    page = visit(lenet({"ops": ["dropout"], "args": {"keep_prob": 0.5}}), errors=REFUSED)
    field = page.get_by_role("textbox", name="keep_prob")
    with sends(page, lambda spec: spec["scopes"][0]["args"]["keep_prob"] == 0.625):
        field.focus()
        field.press("End")
        field.press("Backspace")
        page.keyboard.type("625")
    field.press("Control+z")
    expect(field).to_have_value("0.5")
    expect(page.get_by_role("button", name="Undo")).to_be_disabled()


def test_a_function_is_given_arguments_of_its_own(visit: Visit) -> None:
    args = {"weights_initializer": "truncated_normal_initializer"}
    page = visit(lenet({"ops": ["conv2d"], "args": args}), errors=REFUSED)
    # What a build has told is there to be filled in, with its default.
    stddev = page.get_by_role("textbox", name="stddev")
    expect(stddev).to_have_attribute("placeholder", "1")
    initializer = {"name": "truncated_normal_initializer", "stddev": 0.1}
    with sends(page, lambda spec: spec["scopes"][0]["args"]["weights_initializer"] == initializer):
        stddev.fill("0.1")
    with sends(page, lambda spec: spec["scopes"][0]["args"] == args):
        page.get_by_role("button", name="Reset stddev to its default").click()
    # What a function needs and has not got is asked for by the service.
    choose(page.get_by_role("combobox", name="Add an argument to args"), "weights_reg")
    page.get_by_role("combobox", name="weights_regularizer").select_option("l2_regularizer")
    scale = page.get_by_role("textbox", name="scale")
    expect(scale).to_have_attribute("aria-invalid", "true")
    scale.fill("1e-4")
    expect(scale).not_to_have_attribute("aria-invalid", "true")
    expect(level(page, 0)).to_contain_text("won all 2 calls")
    assert_accessible(page)


def test_patterns_limit_a_level_and_force_gives_it_the_last_word(visit: Visit) -> None:
    page = visit(lenet(CONV))
    page.get_by_role("button", name="Limit to some layers").click()
    patterns = page.get_by_role("combobox", name="Add a pattern to layers")
    patterns.fill("conv")
    expect(page.get_by_role("option", name="LeNet/conv1")).to_be_visible()
    with sends(page, lambda spec: spec["scopes"][0].get("layers") == ["*/conv1"]):
        choose(patterns, "*/conv1")
    expect(level(page, 0)).to_contain_text("Reaches into 1 layer.")
    expect(level(page, 0)).to_contain_text("won all 1 call")
    choose(patterns, "Lenet/*")
    expect(level(page, 0)).to_contain_text("'Lenet/*' fits no layer of lenet here.")
    with sends(page, lambda spec: spec["scopes"][0].get("force") is True):
        page.get_by_role("checkbox", name="force").check()
    assert_accessible(page)


def test_what_is_not_set_shows_its_default_and_what_is_set_goes_back_to_it(visit: Visit) -> None:
    page = visit(lenet())
    page.get_by_role("button", name="Parameters all 4 as published").click()
    classes = page.get_by_role("textbox", name="num_classes")
    expect(classes).to_have_value("")
    expect(classes).to_have_attribute("placeholder", "10")
    with sends(page, lambda spec: spec.get("params") == {"num_classes": None}):
        classes.fill("null")
    with sends(page, lambda spec: "params" not in spec):
        page.get_by_role("button", name="Reset num_classes to its default").click()
    with sends(page, lambda spec: spec.get("input_shape") == [32, 32, 3]):
        page.get_by_role("textbox", name="input_shape").fill("32, 32, 3")
    with sends(page, lambda spec: spec.get("is_training") is True):
        page.get_by_role("combobox", name="is_training").select_option("true")
    with sends(page, lambda spec: spec.get("default_scope", 0) is None):
        page.get_by_role("checkbox", name="The default scope is on").uncheck()
    with sends(page, lambda spec: spec["architecture"] == "cifarnet"):
        page.get_by_role("combobox", name="architecture").select_option("cifarnet")
    assert_accessible(page)


def test_the_catalogue_is_searched_from_the_architecture(visit: Visit) -> None:
    page = visit(lenet())
    page.get_by_role("button", name="Search the architectures").click()
    dialog = page.get_by_role("dialog", name="Start from")
    expect(dialog.get_by_role("tab", name="Architectures")).to_have_attribute(
        "aria-selected", "true"
    )
    expect(dialog.get_by_role("button", name="mobilenet_v1", exact=True)).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("button", name="Search the architectures")).to_be_focused()


def test_json_and_fields_are_two_views_of_one_draft(visit: Visit) -> None:
    page = visit(lenet(CONV, DENSE), errors=REFUSED)
    page.get_by_role("checkbox", name="Level 0 is on").uncheck()
    page.get_by_role("button", name="JSON").click()
    text = page.get_by_role("textbox", name="The spec as JSON")
    expect(text).to_contain_text('"tanh"')
    assert_accessible(page)

    text.fill('{"architecture": "lenet", "colour": 1, "scopes": [')
    expect(page.get_by_text("This is not JSON yet: the text is not applied.")).to_be_visible()
    expect(page.locator(".cm-lintRange-error")).not_to_have_count(0)

    text.fill(
        '{"scopes": [{"ops": ["dropout"], "args": {}, "size": 1}],\n "architecture": "lenet"}'
    )
    expect(page.locator(".cm-lintRange-error")).to_have_text('"size": 1')
    # The text is left as it was written.
    expect(text).to_contain_text('{"scopes": [{"ops"')

    page.get_by_role("button", name="Undo").click()
    expect(text).to_contain_text('"tanh"')
    page.get_by_role("button", name="Redo").click()
    page.get_by_role("button", name="Fields").click()
    expect(level(page, 0)).to_contain_text("There is no field 'size'.")
    # The level that is switched off is no part of the JSON, and still there.
    expect(page.get_by_role("button", name="with conv2d (switched off)")).to_be_visible()


def test_levels_are_saved_under_a_name_and_included(visit: Visit) -> None:
    page = visit(lenet(CONV, DENSE), errors=REFUSED)
    page.get_by_role("button", name="Save these levels as").click()
    page.get_by_role("textbox", name="Save these levels as").fill("house")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_text("Saved as house@sha256:").first).to_be_visible()
    page.get_by_role("button", name="Add a saved scope").click()
    name = page.get_by_role("combobox", name="Name of the saved scope")
    expect(name).to_have_attribute("aria-invalid", "true")
    name.fill("house")
    expect(name).not_to_have_attribute("aria-invalid", "true")
    expect(page.locator("datalist option[value=house]")).to_be_attached()
    # A level inside it is the build's fifth: the saved scope stands for two.
    page.get_by_role("button", name="Add a level").click()
    expect(head(page, 4, "conv2d")).to_be_visible()
    assert_accessible(page)


def test_a_block_tells_which_level_the_pointer_or_the_focus_is_on(visit: Visit) -> None:
    page = visit(lenet(CONV, DENSE))
    head(page, 1).focus()
    expect(page.locator(".block.is-hovered")).to_contain_text("fully_connected")


def press_tab_until(page: Page, target: Locator, key: str = "Tab") -> None:
    for _ in range(80):
        if target.evaluate("each => each === document.activeElement"):
            return
        page.keyboard.press(key)
    expect(target).to_be_focused()


def test_the_keyboard_alone_edits_moves_and_undoes(visit: Visit) -> None:
    page = visit(lenet(DENSE))
    press_tab_until(page, page.get_by_role("button", name="Add a level"))
    page.keyboard.press("Enter")
    expect(head(page, 1, "conv2d")).to_be_focused()
    press_tab_until(page, page.get_by_role("combobox", name="Add an argument to args").nth(1))
    page.keyboard.type("stride")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowUp")
    page.keyboard.press("Enter")
    press_tab_until(page, page.get_by_role("textbox", name="stride"), "Shift+Tab")
    page.keyboard.press("Control+a")
    with sends(page, lambda spec: spec["scopes"][1] == {"ops": ["conv2d"], "args": {"stride": 2}}):
        page.keyboard.type("2")
    # The block moves outward with the focus in it.
    with sends(page, lambda spec: spec["scopes"][0]["ops"] == ["conv2d"]):
        page.keyboard.press("Alt+ArrowUp")
    expect(page.get_by_text("Moved to place 1 of 2, the outermost.")).to_be_attached()
    expect(page.get_by_role("textbox", name="stride")).to_be_focused()
    with sends(page, lambda spec: spec["scopes"][1]["ops"] == ["conv2d"]):
        page.keyboard.press("Control+z")
    press_tab_until(page, page.get_by_role("button", name="JSON"), "Shift+Tab")
    page.keyboard.press("Enter")
    text = page.get_by_role("textbox", name="The spec as JSON")
    press_tab_until(page, text)
    # Tab leaves the text as it leaves any field.
    page.keyboard.press("Tab")
    expect(text).not_to_be_focused()


def test_the_editor_fits_a_narrow_window(visit: Visit) -> None:
    levels = [{"ops": ["conv2d"], "args": {"weights_initializer": "xavier_initializer"}}] * 12
    page = visit(lenet(*levels), viewport=NARROW)
    # Of so many, the heads alone are shown at first.
    last = head(page, 11)
    expect(last).to_have_attribute("aria-expanded", "false")
    last.click()
    expect(level(page, 11).get_by_role("combobox", name="Add an op to ops")).to_be_visible()
    pane = page.get_by_role("main")
    assert pane.evaluate("each => each.scrollWidth - each.clientWidth") == 0
    assert_accessible(page)
