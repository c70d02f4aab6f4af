"""Models: names, versions, load state, what is in memory, and the worker."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from page_tests import Visit, assert_accessible, link
from playwright.sync_api import Locator, Page, expect
from zoo_server import Server, build, image_bytes


@pytest.fixture
def client(server: Server) -> Iterator[httpx.Client]:
    """A client of a service without named models."""
    with server.client() as client:
        for model in client.get("/v1/models").json()["models"]:
            client.delete(f"/v1/models/{model['name']}")
        yield client


def put(client: httpx.Client, name: str, build_id: str, **options: Any) -> None:
    client.put(f"/v1/models/{name}", json={"build": build_id, **options}).raise_for_status()


def open_models(visit: Visit, fragment: str = "", **options: Any) -> Page:
    page = visit(fragment or link({"architecture": "lenet"}), **options)
    expect(page.locator(".totals")).not_to_be_empty()
    if "viewport" in options:
        page.get_by_role("button", name="Results").click()
    page.get_by_role("tab", name="Models").click()
    expect(page.get_by_role("term").filter(has_text="Device")).to_be_visible()
    return page


def panel(page: Page) -> Locator:
    return page.get_by_role("tabpanel", name="Models")


def row(page: Page, model: str, version: int) -> Locator:
    versions = page.get_by_role("region", name=f"Model {model}")
    return versions.get_by_role("row").filter(has=page.get_by_role("rowheader", name=str(version)))


def test_the_live_build_is_named_and_loaded(visit: Visit, client: httpx.Client) -> None:
    lenet = build(client)
    page = open_models(visit, fragment=f"#b={lenet}")
    expect(page.get_by_text("No build has a name yet.")).to_be_visible()
    assert_accessible(page)
    page.get_by_label("Name the live build").last.fill("digits")
    page.get_by_text("Options", exact=True).click()
    page.get_by_label("Labels").fill("stable, tried")
    names = "\n".join(
        f"{digit}:digit {digit} <img src=x onerror=alert(1)>" for digit in range(10)
    ).encode()
    page.get_by_label("Class names").set_input_files(
        {"name": "labels.txt", "mimeType": "text/plain", "buffer": names}
    )
    page.get_by_role("button", name="Name it").click()
    expect(page.get_by_text("digits version 1 is build")).to_be_visible()
    first = row(page, "digits", 1)
    expect(first).to_contain_text("ready")
    expect(first).to_contain_text("MB")
    expect(first).to_contain_text("float32")
    expect(first).to_contain_text("stable")
    expect(first).to_contain_text("10 class names")
    expect(page.get_by_text("In memory:")).to_contain_text("of 2.15 GB")
    (model,) = client.get("/v1/models").json()["models"]
    assert (model["build"], model["labels"]) == (lenet, ["stable", "tried"])
    assert_accessible(page)

    page.get_by_role("tab", name="Picture").click()
    page.get_by_role("button", name="Example: Digit").click()
    bars = page.get_by_role("region", name="Live build").get_by_role("listitem")
    expect(bars.first).to_contain_text("<img src=x onerror=alert(1)>")


def test_pictures_calibrate_the_live_build_in_int8(visit: Visit, client: httpx.Client) -> None:
    page = open_models(visit, fragment=f"#b={build(client)}", errors=("422",))
    page.get_by_label("Name the live build").last.fill("fast")
    page.get_by_text("Options", exact=True).click()
    page.get_by_label("Precision").select_option("int8")
    page.get_by_role("button", name="Name it").click()
    expect(page.get_by_role("alert")).to_contain_text(
        "precision int8 is calibrated on rows of yours"
    )
    page.get_by_label("Calibration").set_input_files(
        [
            {
                "name": f"{size}.png",
                "mimeType": "image/png",
                "buffer": image_bytes("PNG", (size, 40)),
            }
            for size in range(40, 56)
        ]
    )
    page.get_by_role("button", name="Name it").click()
    expect(page.get_by_text("fast version 1 is build")).to_be_visible()
    first = row(page, "fast", 1)
    expect(first).to_contain_text("onnxruntime, int8")
    expect(first).to_contain_text("times as fast")
    expect(first).to_contain_text("% agree")
    (model,) = client.get("/v1/models").json()["models"]
    assert model["calibration"]["rows"] == 16
    versions = page.get_by_role("region", name="Model fast")
    versions.get_by_role("button", name="Unload").click()
    page.get_by_role("button", name="Load version 1 of fast").click()
    expect(first).to_contain_text("times as fast")
    assert_accessible(page)


def test_a_name_that_no_model_can_have_is_refused_in_words(
    visit: Visit, client: httpx.Client
) -> None:
    page = open_models(visit, fragment=f"#b={build(client)}", errors=("422",))
    page.get_by_label("Name the live build").last.fill("two words")
    page.get_by_label("Name the live build").last.press("Enter")
    expect(page.get_by_role("alert")).to_contain_text(
        "A model's name has 1 to 128 letters, digits, dots, underscores and hyphens"
    )
    expect(page.get_by_text("No build has a name yet.")).to_be_visible()


def test_a_model_is_unloaded_loaded_opened_and_deleted(visit: Visit, client: httpx.Client) -> None:
    lenet, cifarnet = build(client), build(client, "cifarnet")
    put(client, "small", cifarnet)
    put(client, "small", lenet, engine="tensorflow")
    page = open_models(visit, fragment=f"#b={lenet}")
    expect(row(page, "small", 2)).to_contain_text("tensorflow, float32")
    expect(row(page, "small", 1)).to_contain_text("ready")
    page.get_by_role("region", name="Model small").get_by_role("button", name="Unload").click()
    expect(row(page, "small", 1)).to_contain_text("not loaded: its next request loads it")
    expect(row(page, "small", 2)).to_contain_text("unavailable")
    page.get_by_role("button", name="Load version 1 of small").click()
    expect(row(page, "small", 1)).to_contain_text("ready")
    expect(row(page, "small", 2)).to_contain_text("unavailable")

    page.get_by_role("button", name="Open version 1 of small in the editor").click()
    expect(page.get_by_role("form").get_by_title(cifarnet)).to_be_visible()

    page.get_by_role("button", name="Delete version 1 of small").click()
    expect(page.get_by_role("button", name="Keep version 1 of small")).to_be_focused()
    page.keyboard.press("Enter")
    page.get_by_role("button", name="Delete version 1 of small").click()
    page.get_by_role("button", name="Yes, delete version 1 of small").press("Enter")
    expect(row(page, "small", 1)).to_have_count(0)
    expect(page.get_by_role("heading", name="Named models")).to_be_focused()
    expect(row(page, "small", 2)).to_be_visible()
    assert [each["version"] for each in client.get("/v1/models").json()["models"]] == [2]


def test_builds_in_memory_without_a_name_are_listed(visit: Visit, client: httpx.Client) -> None:
    tried = build(client, params={"num_classes": 7})
    client.post(f"/v1/builds/{tried}/predict", content=image_bytes()).raise_for_status()
    page = open_models(visit, viewport={"width": 390, "height": 844})
    unnamed = page.get_by_role("region", name="In memory without a name")
    short = tried[:8]
    line = unnamed.get_by_role("row").filter(has_text=short)
    expect(line).to_contain_text("lenet")
    expect(line).to_contain_text("1 row, waited")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert_accessible(page)
    page.get_by_role("button", name=f"Unload build {short}").click()
    expect(line).to_have_count(0)


def test_the_worker_is_shown_while_it_restarts(visit: Visit, server: Server) -> None:
    page = open_models(visit)
    worker = panel(page).get_by_role("definition").first
    expect(worker).to_have_text("ready")
    # The next process is up in less time than the page waits between two looks.
    with server.client() as client:
        health = client.get("/healthz").json()
    health["worker"] |= {"state": "restarting", "reason": "was killed by SIGKILL"}
    page.route("**/healthz", lambda route: route.fulfill(json=health))
    expect(worker).to_contain_text("restarting")
    expect(worker).to_contain_text("SIGKILL")
    assert_accessible(page)
    page.unroute("**/healthz")
    expect(worker).to_have_text("ready")


def test_a_part_that_fails_fails_alone(visit: Visit) -> None:
    page = open_models(visit, errors=("503", "502"))
    problem = {
        "type": "/docs#problem-store-unavailable",
        "title": "The store is not available",
        "status": 503,
        "detail": "The disk is full.",
        "errors": [],
        "request_id": "0",
    }
    page.route(
        "**/v1/models?*",
        lambda route: route.fulfill(
            status=503, content_type="application/problem+json", json=problem
        ),
    )
    page.route("**/metrics", lambda route: route.fulfill(status=502, body="<h1>Bad gateway</h1>"))
    expect(page.get_by_role("alert").filter(has_text="The disk is full.")).to_be_visible()
    expect(page.get_by_role("alert").filter(has_text="status 502")).to_be_visible()
    expect(panel(page).get_by_role("definition").first).to_have_text("ready")
    assert_accessible(page)
    page.unroute_all()
    page.get_by_role("button", name="Try again").first.click()
    expect(page.get_by_role("alert")).to_have_count(0)
