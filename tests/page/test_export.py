"""Journey 7: what is taken away works elsewhere."""

import io
import json
import subprocess
import sys

import httpx
import numpy as np
from page_tests import Visit, assert_accessible, link
from playwright.sync_api import Page, expect
from zoo_server import ROOT

LENET = {"architecture": "lenet", "scopes": [{"ops": ["conv2d"], "args": {"activation_fn": "elu"}}]}


def open_export(visit: Visit, fragment: str, **options: object) -> Page:
    """Open the tab with what a link holds."""
    page = visit(fragment, permissions=["clipboard-read", "clipboard-write"], **options)
    results = page.get_by_role("button", name="Results")
    if results.is_visible():  # narrow
        results.click()
    page.get_by_role("tab", name="Export").click()
    expect(page.get_by_role("region", name="the link", exact=True)).to_contain_text("#s=")
    return page


def stored(site: str, **spec: object) -> str:
    """Return the id of a build that is stored now."""
    response = httpx.post(f"{site}/v1/builds", json=spec).raise_for_status()
    return str(response.json()["id"])


def copied(page: Page, title: str) -> str:
    page.evaluate("navigator.clipboard.writeText('')")
    page.get_by_role("button", name=f"Copy {title}", exact=True).click()
    expect(page.get_by_role("status").filter(has_text="Copied").first).to_be_visible()
    # The notice may be that of an earlier copy.
    return str(page.wait_for_function("navigator.clipboard.readText()").json_value())


def run(*command: str) -> str:
    finished = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert finished.returncode == 0, finished.stderr
    return finished.stdout


def test_the_link_opens_the_same_spec(visit: Visit, site: str) -> None:
    page = open_export(visit, link(LENET), path="?utm_source=mail")
    assert_accessible(page)
    url = copied(page, "the link")
    assert url.startswith(f"{site}/#s=")
    other = visit(url.removeprefix(f"{site}/"))
    other.get_by_role("tab", name="Export").click()
    opened = other.get_by_role("region", name="JSON", exact=True).inner_text()
    assert json.loads(opened) == json.loads(copied(page, "JSON"))


def test_curl_and_python_build_the_same(visit: Visit, site: str) -> None:
    build = stored(site, **LENET)
    page = open_export(visit, f"#b={build}")
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
    page = open_export(visit, link(LENET), viewport={"width": 390, "height": 844})
    page.get_by_role("button", name="Store the build to download its weights").click()
    build = stored(site, **LENET)
    expect(page.get_by_text("All 8 variables are random")).to_be_visible(timeout=20_000)
    expect(page.get_by_role("region", name="the short link")).to_contain_text(f"#b={build}")
    assert_accessible(page)
    with page.expect_download() as download:
        page.get_by_role("link", name="npz").click()
    assert download.value.suggested_filename == f"lenet-{build[:8]}.npz"


def test_the_restore_plan_says_what_each_source_fills(visit: Visit, site: str) -> None:
    arrays = {
        "LeNet/conv1/weights": np.zeros((5, 5, 1, 32), np.float32),
        "LeNet/conv1/biases": np.zeros(32, np.float32),
        "LeNet/fc4/weights": np.zeros((1024, 7), np.float32),
        "head/more": np.zeros(3, np.float32),
    }
    file = io.BytesIO()
    np.savez(file, **arrays)
    upload = httpx.post(f"{site}/v1/weights?name=part.npz", content=file.getvalue(), timeout=60)
    source = {"source": "checkpoint", "id": upload.json()["id"], "policy": "skip_mismatch"}
    page = open_export(visit, f"#b={stored(site, architecture='lenet', weights=source)}")
    expect(page.get_by_text("Sources fill 832 of 3 274 634 parameters (<0.1 %).")).to_be_visible()
    plan = page.get_by_role("region", name="Source 1")
    expect(plan).to_contain_text(f"checkpoint {source['id'][:12]}")
    expect(plan).to_contain_text("It fills 2 variables.")
    expect(plan).to_contain_text("The checkpoint has 7 classes; this build 10.")
    plan.get_by_text("1 variable has another shape").click()
    expect(plan).to_contain_text("LeNet/fc4/weights: 1024×10, there 1024×7")
    plan.get_by_text("5 variables are not in the source").click()
    expect(plan).to_contain_text("LeNet/conv2/weights: 5×5×32×64")
    plan.get_by_text("1 tensor of the source is not used").click()
    expect(plan).to_contain_text("head/more: 3")
    page.get_by_text("6 variables stay random").click()
    assert_accessible(page)


def test_what_tf_slim_cannot_express_is_said(visit: Visit) -> None:
    level = {"ops": ["conv2d"], "layers": ["LeNet/conv1"], "args": {"activation_fn": "elu"}}
    page = open_export(visit, link({"architecture": "lenet", "scopes": [level]}))
    page.get_by_role("button", name="TF-Slim", exact=True).click()
    expect(page.get_by_text("TF-Slim cannot express this build:")).to_be_visible()
    reason = "/scopes/0/layers TF-Slim cannot limit a scope to layers"
    expect(page.get_by_role("listitem").filter(has_text=reason)).to_be_visible()
    assert_accessible(page)


def test_without_a_clipboard_the_text_is_selected(visit: Visit) -> None:
    page = open_export(visit, link(LENET))
    page.evaluate("() => { navigator.clipboard.writeText = () => Promise.reject(new Error()) }")
    page.get_by_role("button", name="Copy JSON", exact=True).click()
    expect(page.get_by_role("status").filter(has_text="Selected: press Ctrl+C")).to_be_visible()
    assert json.loads(page.evaluate("getSelection().toString()")) == LENET
