"""The page under a prefix, behind a real nginx that strips it or not."""

from collections.abc import Iterator

import pytest
from nginx_server import PREFIX, Nginx
from page_tests import Visit, link
from playwright.sync_api import expect
from zoo_server import Server

SPEC = {"architecture": "lenet"}


@pytest.fixture(scope="module")
def nginx(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nginx]:
    """nginx before two services, the second of which knows the prefix."""
    server = Server(tmp_path_factory.mktemp("prefix") / "home", root_path=PREFIX)
    nginx = Nginx([server.url])
    yield nginx
    nginx.end()
    assert server.end() == 0


@pytest.fixture(scope="module", params=["passing", "stripping"])
def site(request: pytest.FixtureRequest, nginx: Nginx) -> str:
    """The address of the page, without the slash that `visit` adds."""
    return f"{getattr(nginx, request.param)}{PREFIX}"


def test_the_page_asks_under_its_prefix(visit: Visit) -> None:
    """That nothing fails or leaves the address is checked at the end of each visit."""
    page = visit(link(SPEC))
    expect(page.locator(".totals")).not_to_be_empty()
    page.get_by_role("tab", name="Models").click()
    expect(page.get_by_role("term").filter(has_text="Device")).to_be_visible()


def test_a_problem_leads_to_its_explanation(visit: Visit, site: str) -> None:
    page = visit(link({"architecture": "mobilenet_v1_025"}), errors=("422", "404", "503"))
    page.route(
        "**/v1/builds?*include=explanation*",
        lambda route: route.fulfill(
            status=503,
            content_type="application/problem+json",
            json={
                "type": f"{PREFIX}/docs#problem-overloaded",
                "title": "The service is at capacity",
                "status": 503,
                "detail": "Full.",
                "errors": [],
                "request_id": "",
            },
        ),
    )
    page.reload()
    title = page.get_by_role("link", name="The service is at capacity").first
    expect(title).to_have_attribute("href", f"{site}/docs#problem-overloaded")


def test_the_reference_sends_under_its_prefix(visit: Visit, site: str) -> None:
    page = visit(path="docs")
    expect(page.locator(".opblock-tag").first).to_contain_text("builds", timeout=20_000)
    operation = page.locator("#operations-service-getHealth")
    operation.get_by_role("button").first.click()
    with page.expect_request(f"{site}/healthz"):
        operation.get_by_role("button", name="Execute").click()
    expect(operation.locator(".live-responses-table")).to_contain_text('"status": "ok"')


def test_the_prefix_alone_leads_to_the_page(visit: Visit, site: str) -> None:
    page = visit()
    page.goto(site)
    expect(page.get_by_role("heading", name="Model zoo")).to_be_visible()
    assert page.url.startswith(f"{site}/")
