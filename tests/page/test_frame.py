"""The frame of the page."""

from page_tests import Visit, assert_accessible
from playwright.sync_api import expect


def test_the_page_opens_with_the_first_preset(visit: Visit) -> None:
    page = visit()
    expect(page.get_by_role("heading", name="Model zoo")).to_be_visible()
    expect(page.locator(".totals")).to_contain_text("27.2")
    assert_accessible(page)


def test_tabs_follow_the_arrow_keys(visit: Visit) -> None:
    page = visit()
    page.get_by_role("tab", name="Layers").focus()
    page.keyboard.press("ArrowRight")
    graph = page.get_by_role("tab", name="Graph")
    expect(graph).to_be_focused()
    expect(graph).to_have_attribute("aria-selected", "true")
