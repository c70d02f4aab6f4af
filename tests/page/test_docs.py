"""The reference of the routes: Swagger UI, and every kind of problem."""

import re

import pytest
from page_tests import Visit, assert_accessible
from playwright.sync_api import Locator, Page, Route, expect

NARROW = {"width": 390, "height": 844}


def reference(visit: Visit, fragment: str = "", **options: object) -> Page:
    page = visit(fragment, path="docs", **options)
    expect(page.locator(".opblock-tag").first).to_contain_text("builds", timeout=20_000)
    return page


def opened(page: Page, name: str) -> Locator:
    """Open an operation by its group and id."""
    operation = page.locator(f"#operations-{name}")
    operation.get_by_role("button").first.click()
    return operation


@pytest.mark.parametrize("viewport", [{"width": 1440, "height": 900}, NARROW])
def test_a_build_is_created_by_trying_it_out(visit: Visit, viewport: dict[str, int]) -> None:
    page = reference(visit, viewport=viewport)
    operation = opened(page, "builds-createBuild")
    expect(operation.get_by_role("textbox", name="Request body")).to_have_value(
        re.compile('"architecture": "mobilenet_v1_025"')
    )
    operation.get_by_role("button", name="Execute").click()
    answer = operation.locator(".live-responses-table")
    expect(answer).to_contain_text('"id": "914628701d01143499dcce0ad890739d"')
    expect(answer).to_contain_text(re.compile(r"Request duration\d+ ms"))
    assert_accessible(page)
    assert page.evaluate("document.documentElement.scrollWidth") == viewport["width"]


def test_groups_stand_in_the_order_of_a_newcomer(visit: Visit) -> None:
    page = reference(visit)
    names = page.locator(".opblock-tag").evaluate_all("all => all.map(each => each.dataset.tag)")
    assert names[:3] == ["builds", "catalogue", "diffs"]
    assert names[-2:] == ["open inference protocol", "tensorflow serving"]


def test_a_search_leaves_the_operations_with_its_words(visit: Visit) -> None:
    page = reference(visit)
    page.get_by_role("searchbox", name="Search the routes").fill("checkpoint published")
    expect(page.locator(".opblock")).to_have_count(1)
    expect(page.locator(".opblock")).to_contain_text("/v1/weights/published")
    page.get_by_role("searchbox").fill("")
    expect(page.locator(".opblock-tag").last).to_contain_text("tensorflow serving")


def test_an_address_leads_to_an_operation(visit: Visit) -> None:
    page = reference(visit, "#/builds/getBuildSummary")
    operation = page.locator("#operations-builds-getBuildSummary")
    expect(operation).to_be_in_viewport()
    expect(operation.get_by_role("textbox", name="build_id")).to_have_value(
        "914628701d01143499dcce0ad890739d"
    )


def test_the_type_of_a_problem_leads_to_its_explanation(visit: Visit) -> None:
    page = reference(visit, "#problem-in-use")
    kind = page.locator("#problem-in-use")
    expect(kind).to_be_in_viewport()
    expect(kind).to_have_attribute("aria-current", "location")
    expect(kind).to_contain_text("Something else depends on it")
    assert_accessible(page)
    page.get_by_role("link", name="invalid-query").click()
    expect(page.locator("#problem-invalid-query")).to_have_attribute("aria-current", "location")
    expect(kind).not_to_have_attribute("aria-current", "location")


def test_requests_go_to_the_prefix_of_the_page(visit: Visit, site: str) -> None:
    """As behind a proxy that serves /zoo/ from the service."""

    def forward(route: Route) -> None:
        route.fulfill(response=route.fetch(url=route.request.url.replace("/zoo/", "/")))

    page = visit(path="docs")
    page.route("**/zoo/**", forward)
    page.goto(f"{site}/zoo/docs")
    operation = opened(page, "service-getHealth")
    with page.expect_request(f"{site}/zoo/healthz"):
        operation.get_by_role("button", name="Execute").click()
    expect(operation.locator(".live-responses-table")).to_contain_text('"status": "ok"')
