"""The page of a service that needs tokens: it asks for one, sends it, and forgets it."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from page_tests import Visit, assert_accessible, link
from playwright.sync_api import Page, expect
from zoo_server import Server

from app.callers.roles import ROLES
from app.callers.token_file import add_token

LENET = {"architecture": "lenet"}
# What the console says of an answer that is no success.
REFUSED = ("401 (Unauthorized)", "403 (Forbidden)")


class Zoo:
    """The program with a token of each role."""

    def __init__(self, home: Path) -> None:
        self.path = home / "tokens.json"
        self.tokens = {role: add_token(self.path, role, role) for role in ROLES}
        self.server = Server(home)


@pytest.fixture(scope="module")
def zoo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Zoo]:
    zoo = Zoo(tmp_path_factory.mktemp("access"))
    yield zoo
    assert zoo.server.end() == 0


@pytest.fixture
def site(zoo: Zoo) -> str:
    """Its address, which `visit` opens."""
    return zoo.server.url


def opened(visit: Visit, fragment: str = "", path: str = "") -> Page:
    return visit(fragment or link(LENET), path=path, errors=REFUSED)


def give(page: Page, token: str) -> None:
    dialog = page.get_by_role("dialog", name="This service needs a token")
    dialog.get_by_label("Token", exact=True).fill(token)
    dialog.get_by_role("button", name="Use the token").click()


def test_it_asks_for_a_token_and_goes_on_where_it_was(visit: Visit, zoo: Zoo) -> None:
    page = opened(visit)
    dialog = page.get_by_role("dialog", name="This service needs a token")
    expect(dialog.get_by_label("Token", exact=True)).to_be_focused()
    assert_accessible(page)
    give(page, f"  {zoo.tokens['build']} ")
    expect(dialog).to_have_count(0)
    expect(page.locator(".totals")).to_contain_text("3.27 M")
    # For this tab alone, and after a reload, too.
    assert page.evaluate("[localStorage.length, document.cookie]") == [0, ""]
    assert zoo.tokens["build"] not in page.url
    page.reload()
    expect(page.locator(".totals")).to_contain_text("3.27 M")
    expect(dialog).to_have_count(0)
    other = page.context.new_page()
    other.goto(page.url)
    expect(other.get_by_role("dialog")).to_be_visible()


def test_a_token_that_is_refused_is_asked_for_again(visit: Visit, zoo: Zoo) -> None:
    page = opened(visit)
    give(page, "zoo_wrong")
    expect(page.get_by_role("dialog")).to_contain_text("It refused the token that was sent")
    give(page, zoo.tokens["build"])
    expect(page.locator(".totals")).to_contain_text("3.27 M")


def test_a_role_that_is_missing_is_named(visit: Visit, zoo: Zoo) -> None:
    page = opened(visit)
    give(page, zoo.tokens["read"])
    expect(page.get_by_role("alert").first).to_contain_text(
        "A token with the role build is needed."
    )


def test_who_gives_none_is_not_asked_again_until_he_wants_to_be(visit: Visit, zoo: Zoo) -> None:
    page = opened(visit)
    page.get_by_role("dialog").get_by_role("button", name="Go on without").click()
    expect(page.get_by_role("alert").first).to_contain_text("A valid token is needed")
    page.get_by_role("tab", name="Graph").click()
    expect(page.get_by_role("dialog")).to_have_count(0)
    page.get_by_role("button", name="Enter a token").click()
    give(page, zoo.tokens["build"])
    expect(page.locator(".totals")).to_contain_text("3.27 M")


def test_a_token_is_forgotten(visit: Visit, zoo: Zoo) -> None:
    page = opened(visit)
    give(page, zoo.tokens["build"])
    expect(page.locator(".totals")).to_contain_text("3.27 M")
    page.get_by_role("button", name="Forget the token").click()
    assert page.evaluate("sessionStorage.length") == 0
    page.get_by_role("tab", name="Models").click()
    expect(page.get_by_role("dialog", name="This service needs a token")).to_be_visible()


def test_downloads_have_the_token(visit: Visit, zoo: Zoo) -> None:
    page = opened(visit)
    give(page, zoo.tokens["build"])
    page.get_by_role("tab", name="Export").click()
    page.get_by_role("button", name="Store the build to download its weights").click()
    with page.expect_download() as download:
        page.get_by_role("link", name="npz").click()
    assert download.value.suggested_filename.endswith(".npz")
    assert Path(download.value.path()).stat().st_size > 10_000_000


def test_the_reference_has_a_button_to_authorize(visit: Visit, zoo: Zoo) -> None:
    page = opened(visit, "#/service/listLimits", "docs")
    expect(page.locator(".opblock-tag").first).to_contain_text("builds", timeout=20_000)
    page.get_by_role("button", name="Authorize", exact=True).click()
    popup = page.locator(".dialog-ux")
    popup.get_by_role("textbox").fill(zoo.tokens["read"])
    popup.get_by_role("button", name="Apply credentials").click()
    popup.get_by_role("button", name="Close").click()
    operation = page.locator("#operations-service-listLimits")
    operation.get_by_role("button", name="Execute").click()
    expect(operation.locator(".live-responses-table")).to_contain_text('"max_body_bytes"')


def test_the_reference_has_the_token_of_its_tab(visit: Visit, zoo: Zoo) -> None:
    page = opened(visit)
    give(page, zoo.tokens["read"])
    page.get_by_role("link", name="API").click()
    page.get_by_role("link", name="Limits").click()
    expect(page.locator("body")).to_contain_text("ZOO_MAX_BODY_BYTES")
