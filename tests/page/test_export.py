"""Journey 7: what is taken away works elsewhere."""

import json
import subprocess
import sys

import httpx
from page_tests import Visit, assert_accessible
from playwright.sync_api import Page, expect
from zoo_server import ROOT

LENET = {"architecture": "lenet", "scopes": [{"ops": ["conv2d"], "args": {"activation_fn": "elu"}}]}


def exported(visit: Visit, site: str, **options: object) -> tuple[Page, str]:
    """Open the tab with a stored build, and return the page and the build's id."""
    build = httpx.post(f"{site}/v1/builds", json=LENET).json()["id"]
    page = visit(f"#b={build}", permissions=["clipboard-read", "clipboard-write"], **options)
    results = page.get_by_role("button", name="Results")
    if results.is_visible():  # narrow
        results.click()
    page.get_by_role("tab", name="Export").click()
    expect(page.get_by_role("region", name="the link", exact=True)).to_contain_text(
        "#s=", timeout=20_000
    )
    return page, build


def copied(page: Page, title: str) -> str:
    page.get_by_role("button", name=f"Copy {title}", exact=True).click()
    expect(page.get_by_role("status").filter(has_text="Copied").first).to_be_visible()
    return str(page.evaluate("navigator.clipboard.readText()"))


def run(*command: str) -> str:
    finished = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert finished.returncode == 0, finished.stderr
    return finished.stdout


def test_the_link_opens_the_same_spec(visit: Visit, site: str) -> None:
    page, _ = exported(visit, site)
    assert_accessible(page)
    link = copied(page, "the link")
    assert link.startswith(f"{site}/#s=")
    other = visit(link.removeprefix(f"{site}/"))
    other.get_by_role("tab", name="Export").click()
    opened = other.get_by_role("region", name="JSON", exact=True).inner_text(timeout=20_000)
    assert json.loads(opened) == json.loads(copied(page, "JSON"))


def test_curl_and_python_build_the_same(visit: Visit, site: str) -> None:
    page, build = exported(visit, site)
    page.get_by_role("button", name="curl", exact=True).click()
    assert json.loads(run("bash", "-c", copied(page, "curl")))["id"] == build
    page.get_by_role("button", name="Python spec", exact=True).click()
    assert run(sys.executable, "-c", copied(page, "Python spec")).split() == [build, "3274634"]
    page.get_by_role("button", name="Python", exact=True).click()
    code = page.get_by_role("region", name="Python", exact=True)
    expect(code).to_contain_text("activation_fn=elu")
    run(sys.executable, "-c", copied(page, "Python"))
    page.get_by_role("button", name="TF-Slim", exact=True).click()
    expect(page.get_by_role("region", name="TF-Slim")).to_contain_text("slim.arg_scope")
    assert_accessible(page)


def test_weights_are_downloaded_of_a_stored_build(visit: Visit, site: str) -> None:
    page, build = exported(visit, site, viewport={"width": 390, "height": 844})
    page.get_by_role("button", name="Store the build to download its weights").click()
    expect(page.get_by_text("All 8 variables are random")).to_be_visible(timeout=20_000)
    expect(page.get_by_role("region", name="the short link")).to_contain_text(f"#b={build}")
    assert_accessible(page)
    with page.expect_download() as download:
        page.get_by_role("link", name="npz").click()
    assert download.value.suggested_filename == f"lenet-{build[:8]}.npz"
