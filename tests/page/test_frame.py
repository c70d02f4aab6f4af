"""The frame of the page."""

import re
from typing import Any

from page_tests import Visit, assert_accessible, link
from playwright.sync_api import Page, Route, expect

LENET = {"architecture": "lenet"}
FIRST_LOAD_BYTES = 120_000
# Words of charts, of the JSON editor, of Swagger UI and of the layout: no first file has them.
LATER = ("observablehq", "cm-editor", "swagger-ui", "dagre", "networkSimplex", "opblock")

SHIFTS = """
window.shifts = [];
new PerformanceObserver((list) => {
  for (const entry of list.getEntries()) {
    window.shifts.push([entry.value, entry.sources.map((each) => each.node?.outerHTML ?? "")]);
  }
}).observe({ type: "layout-shift", buffered: true });
"""


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


def test_the_first_load_is_small_and_has_no_library_that_is_used_later(visit: Visit) -> None:
    page = visit()
    mark = page.locator("[data-column='argument:activation_fn'] .set-value").first
    expect(mark).to_be_visible()  # the last answer of the first load
    client = page.context.new_cdp_session(page)
    client.send("Network.enable")
    client.send("Network.setCacheDisabled", {"cacheDisabled": True})
    files: dict[str, str] = {}
    sizes: dict[str, int] = {}

    def on_response(event: dict[str, Any]) -> None:
        if "/v1/" not in event["response"]["url"]:
            files[event["requestId"]] = event["response"]["url"]

    client.on("Network.responseReceived", on_response)
    client.on(
        "Network.loadingFinished",
        lambda event: sizes.update({event["requestId"]: event["encodedDataLength"]}),
    )
    page.reload()
    expect(mark).to_be_visible()

    assert 20_000 < sum(sizes.get(each, 0) for each in files) <= FIRST_LOAD_BYTES
    scripts = [url for url in files.values() if url.endswith((".js", ".css"))]
    assert any("/index-" in url for url in scripts)
    for url in scripts:
        text = page.request.get(url).text()
        assert [word for word in LATER if word in text] == [], url


def test_nothing_moves_when_answers_come(visit: Visit) -> None:
    page = visit(path="docs")
    page.add_init_script(SHIFTS)
    page.goto(page.url.removesuffix("docs"))
    value = page.locator("tr[data-layer$='Conv2d_1a_3x3'] [data-column='argument:activation_fn']")
    expect(value).to_contain_text("relu6")
    page.get_by_role("textbox", name="decay").fill("0.9")
    page.get_by_role("textbox", name="decay").blur()
    beaten = page.locator("tr[data-layer$='Conv2d_1a_3x3/BatchNorm'] [title*='beat 0.9 ']")
    expect(beaten).to_be_visible()
    assert page.evaluate("window.shifts") == []


def test_a_service_that_is_gone_is_found_again(visit: Visit) -> None:
    page = visit(link(LENET), errors=("ERR_FAILED", "ERR_CONNECTION"))
    totals = page.get_by_role("region", name="Totals")
    expect(totals).to_contain_text("3.27")

    def cut(route: Route) -> None:
        route.abort()

    page.route("**/v1/**", cut)
    page.get_by_role("button", name="Add a level").click()
    expect(totals).to_contain_text("The service does not answer")
    expect(page.get_by_role("region", name="Spec").get_by_role("alert")).to_contain_text(
        "Is the service running?"
    )
    expect(totals).to_contain_text("3.27")
    assert_accessible(page)
    page.unroute("**/v1/**", cut)
    expect(page.get_by_role("alert")).to_have_count(0)
    expect(totals).not_to_contain_text("The service does not answer")


def test_what_is_odd_in_a_spec_is_text(visit: Visit) -> None:
    name = "<script>document.title = 'run'</script> \u00e9\u2603\U0001f600 " + 300 * "x"
    odd = {
        "architecture": "lenet",
        "scopes": [{"ops": ["conv2d"], "args": {name: name}, "layers": [name]}],
    }
    page = visit(link(odd), errors=("422",))
    expect(page.get_by_role("region", name="Spec").get_by_text(name).first).to_be_visible()
    expect(page.get_by_role("tabpanel", name="Layers").get_by_role("alert")).to_be_visible()
    assert page.title() != "run"
    assert page.evaluate("document.documentElement.scrollWidth") <= 1440
    assert_accessible(page)


def test_sixty_four_levels_are_edited_like_four(visit: Visit) -> None:
    levels = [{"ops": ["conv2d"], "args": {"activation_fn": "relu6"}}] * 64
    page = visit(link({**LENET, "scopes": levels}))
    expect(page.get_by_role("button", name=re.compile("^Level 63 "))).to_be_attached()
    expect(page.locator("[data-layer='LeNet/conv1'] [data-place='63']")).to_have_text("63")
    assert fits(page)


def fits(page: Page) -> bool:
    return bool(page.evaluate("document.documentElement.scrollWidth <= innerWidth"))


def test_at_twice_the_size_everything_can_be_reached(visit: Visit) -> None:
    page = visit(viewport={"width": 720, "height": 450}, device_scale_factor=2)  # a zoom of 200 %
    page.get_by_role("button", name="Results").click()
    page.get_by_role("tab", name="Models").click()
    expect(page.get_by_role("button", name="Name it")).to_be_visible()
    assert fits(page)
    assert_accessible(page)
