"""Try a picture: the most probable classes, end points as images, two builds side by side."""

import base64
import os
import re
import signal

import numpy as np
import pytest
from page_tests import Spec, Visit, assert_accessible, link
from PIL import Image
from playwright.sync_api import FilePayload, Locator, Page, expect
from zoo_server import ROOT, Server, build, image_bytes, npy_bytes, poll

from scripts.draw_page_examples import FOLDER, draw_digit, draw_shapes

LENET: Spec = {"architecture": "lenet"}


def open_picture(visit: Visit, spec: Spec, errors: tuple[str, ...] = ()) -> Page:
    page = visit(link(spec), errors=errors)
    expect(page.locator(".totals")).not_to_be_empty()
    page.get_by_role("tab", name="Picture").click()
    expect(page.get_by_role("button", name="Example: Digit")).to_be_visible()
    return page


def send_file(page: Page, name: str, content: bytes) -> None:
    file: FilePayload = {"name": name, "mimeType": "", "buffer": content}
    page.get_by_label("Choose a file").set_input_files(file)


def live(page: Page) -> Locator:
    return page.get_by_role("region", name="Live build")


def edit(page: Page, server: Server, spec: Spec) -> None:
    """Replace the draft by a build that has a name."""
    with server.client() as client:
        build_id = build(client, **spec)
        client.put("/v1/models/edited", json={"build": build_id}).raise_for_status()
    page.get_by_role("tab", name="Models").click()
    row = page.get_by_role("row").filter(has=page.get_by_title(build_id))
    row.get_by_role("button", name="in the editor").click()
    expect(page.get_by_role("form").get_by_title(build_id)).to_be_visible()
    page.get_by_role("tab", name="Picture").click()


def end_point(page: Page, name: str) -> Locator:
    return page.get_by_role("region", name=f"End point {name}", exact=True)


def is_painted(image: Locator) -> bool:
    """Whether a canvas has pixels of different brightness."""
    script = """canvas => new Set(canvas.getContext('2d')
        .getImageData(0, 0, canvas.width, canvas.height).data.filter((_, i) => i % 4 == 0)).size"""
    return bool(image.evaluate(script) > 1)


@pytest.mark.parametrize("name", ["digit", "shapes"])
def test_the_examples_are_those_that_the_script_draws(name: str) -> None:
    drawn = {"digit": draw_digit, "shapes": draw_shapes}[name]()
    with Image.open(FOLDER / f"{name}.png") as written:
        assert np.array_equal(np.asarray(written.convert(drawn.mode)), np.asarray(drawn))


def test_the_landscape_is_the_picture_of_the_documentation() -> None:
    example = ROOT / "examples" / "picture.jpg"
    assert (FOLDER / "landscape.jpg").read_bytes() == example.read_bytes()


def test_an_example_gives_classes_and_end_points(visit: Visit, server: Server) -> None:
    page = open_picture(visit, LENET)
    expect(page.get_by_text("A run stores the build")).to_be_visible()
    assert_accessible(page)
    page.get_by_role("button", name="Example: Digit").click()
    expect(live(page).get_by_role("listitem")).to_have_count(5)
    expect(live(page)).to_contain_text("Random weights (seed 0): the classes mean nothing")
    expect(live(page)).to_contain_text("lenet preprocessing")
    expect(live(page)).to_contain_text("computed in")
    stored = live(page).locator("code").get_attribute("title")
    with server.client() as client:
        assert client.get(f"/v1/builds/{stored}").status_code == 200

    maps = end_point(page, "conv1").get_by_role("img")
    expect(maps).to_have_count(8)
    expect(end_point(page, "conv1")).to_contain_text("N×28×28×32 · 100 kB · 32 channels")
    expect(maps.nth(3)).to_have_attribute("aria-label", re.compile("^Channel 3 of conv1: .* to "))
    poll(lambda: is_painted(maps.nth(3)))
    page.get_by_label("Channels").select_option("first 16")
    expect(maps).to_have_count(16)
    page.get_by_label("Colours").select_option("viridis")
    page.get_by_label("Add").select_option("Predictions")
    expect(end_point(page, "Predictions").get_by_role("img")).to_have_count(1)
    page.get_by_role("button", name="Remove conv1").click()
    expect(end_point(page, "conv1")).to_have_count(0)
    assert_accessible(page)


def test_a_picture_is_dropped_or_pasted(visit: Visit) -> None:
    page = open_picture(visit, LENET)
    script = """encoded => {
        const bytes = Uint8Array.from(atob(encoded), each => each.charCodeAt(0));
        const data = new DataTransfer();
        data.items.add(new File([bytes], 'mine.png', { type: 'image/png' }));
        return data;
    }"""
    encoded = base64.b64encode(image_bytes("PNG")).decode()
    data = page.evaluate_handle(script, encoded)
    page.get_by_role("region", name="Try a picture").dispatch_event("drop", {"dataTransfer": data})
    expect(page.get_by_role("figure").first).to_contain_text("mine.png")
    expect(live(page).get_by_role("listitem")).to_have_count(5)

    pasted = image_bytes("JPEG")
    script = """encoded => {
        const bytes = Uint8Array.from(atob(encoded), each => each.charCodeAt(0));
        const data = new DataTransfer();
        data.items.add(new File([bytes], 'pasted.jpg', { type: 'image/jpeg' }));
        document.dispatchEvent(new ClipboardEvent('paste', { clipboardData: data }));
    }"""
    page.evaluate(script, base64.b64encode(pasted).decode())
    expect(page.get_by_role("figure").first).to_contain_text("pasted.jpg")
    expect(page.get_by_text("of an earlier build or input")).to_have_count(0)


def test_an_array_is_used_as_it_is(visit: Visit) -> None:
    page = open_picture(visit, LENET)
    rows = np.random.default_rng(0).normal(size=(2, 28, 28, 1)).astype(np.float32)
    send_file(page, "rows.npy", npy_bytes(rows))
    expect(page.get_by_text("An array of 2×28×28×1, type <f4")).to_be_visible()
    expect(live(page)).to_contain_text("used as it is")
    first = live(page).get_by_role("list").inner_text()
    page.get_by_label(re.compile("^Row")).select_option("1")
    expect(live(page).get_by_role("list")).not_to_have_text(first)


def test_what_is_no_picture_is_refused_in_words(visit: Visit) -> None:
    page = open_picture(visit, LENET, errors=("415", "422", "400"))
    send_file(page, "notes.txt", b"these are notes")
    problem = page.get_by_role("alert")
    expect(problem).to_contain_text("JPEG")
    expect(page.get_by_text("The browser cannot show this file.")).to_be_visible()
    assert_accessible(page)
    send_file(page, "row.npy", npy_bytes(np.zeros((1, 5, 5, 1), np.float32)))
    expect(problem).to_contain_text("28")
    page.get_by_role("button", name="Example: Digit").click()
    expect(live(page).get_by_role("listitem")).to_have_count(5)
    expect(problem).to_have_count(0)


def test_a_network_without_pictures_says_what_it_needs(visit: Visit) -> None:
    page = open_picture(visit, {"architecture": "i3d"}, errors=("422",))
    need = "This network takes video, not pictures: an .npy file of N×64×224×224×3"
    expect(page.get_by_text(need)).to_be_visible()
    page.get_by_role("button", name="Example: Digit").click()
    expect(page.get_by_role("alert")).to_contain_text("video")


def test_two_builds_are_shown_side_by_side_and_follow_edits(visit: Visit, server: Server) -> None:
    page = open_picture(visit, LENET)
    beside = page.get_by_role("checkbox", name="Beside the pinned build")
    expect(beside).to_be_disabled()
    page.get_by_role("button", name="Example: Shapes").click()
    expect(live(page).get_by_role("listitem")).to_have_count(5)

    edited: Spec = {**LENET, "scopes": [{"ops": ["conv2d"], "args": {"activation_fn": "elu"}}]}
    edit(page, server, edited)
    expect(page.get_by_text("of an earlier build or input")).to_be_visible()
    beside.check()
    pinned = page.get_by_role("region", name="Pinned build")
    expect(pinned.get_by_role("listitem")).to_have_count(5)
    expect(page.get_by_label("Agreement")).to_contain_text("KL divergence")
    expect(end_point(page, "conv1").get_by_role("img")).to_have_count(16)
    assert_accessible(page)
    page.set_viewport_size({"width": 390, "height": 844})
    page.get_by_role("button", name="Results").click()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert_accessible(page)
    page.set_viewport_size({"width": 1440, "height": 900})

    page.get_by_role("checkbox", name="Follow edits").check()
    before = live(page).locator("code").get_attribute("title")
    edited["scopes"] = [{"ops": ["conv2d"], "args": {"activation_fn": "tanh"}}]
    edit(page, server, edited)
    expect(live(page).locator("code")).not_to_have_attribute("title", str(before))


def test_a_worker_that_dies_is_told_in_words_and_the_next_one_computes(
    visit: Visit, server: Server
) -> None:
    page = open_picture(visit, {"architecture": "mobilenet_v1_025"}, errors=("503",))
    with server.client() as client:
        restarts = client.get("/healthz").json()["worker"]["restarts"]
    worker = server.worker_pid(restarts + 1)
    os.kill(worker, signal.SIGSTOP)  # or it has loaded the network before the page says so
    page.get_by_role("button", name="Example: Landscape").click()
    expect(page.get_by_text("Loading the network into memory")).to_be_visible()
    os.kill(worker, signal.SIGKILL)
    problem = page.get_by_role("alert")
    expect(problem).to_contain_text("The worker died while computing")
    expect(problem).to_contain_text("It is started again.")
    assert_accessible(page)
    page.get_by_role("button", name="Try again").click()
    server.wait_for(r"Worker (\d+) is ready", restarts + 2)
    expect(live(page).get_by_role("listitem")).to_have_count(5)


def test_a_run_is_cancelled(visit: Visit) -> None:
    page = open_picture(visit, {"architecture": "mobilenet_v1_050"})
    page.get_by_role("button", name="Example: Landscape").click()
    page.get_by_role("button", name="Cancel").click()
    expect(page.get_by_text("The most probable classes and the end points")).to_be_visible()
    page.get_by_role("button", name="Run", exact=True).click()
    expect(live(page).get_by_role("listitem")).to_have_count(5)
