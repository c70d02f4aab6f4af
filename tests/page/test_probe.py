"""Probes: the signal by depth, as predicted and as measured."""

import re
from typing import Any

import pytest
from page_tests import Visit, assert_accessible, link
from playwright.sync_api import Page, Route, expect

MOBILENET = "mobilenet_v1_025"
NARROW = {"width": 390, "height": 844}


def open_probe(visit: Visit, spec: dict[str, Any], **options: object) -> Page:
    page = visit(link(spec), **options)
    results = page.get_by_role("button", name="Results", exact=True)
    if results.is_visible():
        results.click()
    page.get_by_role("tab", name="Probe").click()
    return page


def test_the_curve_is_predicted_without_the_worker_and_stores_nothing(visit: Visit) -> None:
    spec = {"architecture": MOBILENET, "weights": {"source": "random", "seed": 271828}}
    page = open_probe(visit, spec)
    verdicts = page.locator(".verdicts")
    expect(verdicts).to_contain_text(
        "Predicted, inference: the scores are 3.51e-16 times the input, within a factor of 2.58."
    )
    expect(verdicts).to_contain_text("Predicted, training: the scores are 0.516 times the input")
    curve = page.get_by_role("img", name="rms by depth: 2 curves over 60 layers.")
    expect(curve).to_be_visible()
    expect(page.get_by_role("columnheader", name="predicted, inference")).to_be_visible()
    builds = page.url.split("#")[0] + "v1/builds"
    traced = page.request.post(f"{builds}?keep=false", data=spec).json()
    assert page.request.get(f"{builds}/{traced['id']}").status == 404
    # A figure that is only measured has no curve yet, and says so.
    page.get_by_label("Figure").select_option("zero_fraction")
    expect(page.get_by_text("it is only measured")).to_be_visible()
    assert_accessible(page)


def test_the_measured_signal_is_told_in_words_and_leads_to_layers(visit: Visit) -> None:
    page = open_probe(visit, {"architecture": MOBILENET, "input_shape": [64, 64, 3]})
    page.get_by_label("Rows of noise").fill("2")
    page.get_by_role("button", name="Measure").click()
    expect(page.get_by_text("Measured: the signal is not healthy")).to_be_visible(timeout=90_000)
    expect(page.get_by_text("on 2 rows of normal noise")).to_be_visible()
    table = page.get_by_role("grid", name="Layers")
    expect(table.get_by_role("columnheader")).to_have_text(
        [
            "Layer",
            "measured, inference",
            "measured, training",
            "predicted, inference",
            "predicted, training",
        ]
    )
    page.get_by_role("button", name="vanishing, inference").click()
    selected = table.locator("tr[aria-selected=true]")
    expect(selected).to_have_count(1)
    expect(page.locator(".layer-selected")).to_have_count(1)
    assert_accessible(page)
    # The keyboard goes on from the layer.
    before = selected.inner_text()
    selected.focus()
    page.keyboard.press("ArrowDown")
    expect(selected).not_to_have_text(before)
    expect(selected).to_be_focused()
    # The pointer finds a layer in the plot, and the table shows it.
    page.locator(".curve").hover(position={"x": 300, "y": 150})
    expect(page.locator(".layer-hovered")).to_have_count(1)
    page.locator(".curve").click(position={"x": 300, "y": 150})
    layer = page.locator(".layer-numbers strong").inner_text()
    expect(selected.get_by_role("rowheader")).to_have_text(layer)
    page.get_by_role("checkbox", name="training").uncheck()
    expect(table.get_by_role("columnheader")).to_have_count(3)
    page.get_by_label("Figure").select_option("dead_units")
    expect(page.get_by_label("logarithmic")).not_to_be_checked()


def test_the_pinned_build_has_curves_of_its_own_beside_the_live_one(visit: Visit) -> None:
    page = open_probe(visit, {"architecture": MOBILENET})
    legend = page.locator(".probe-legend > span[class^=curve]")
    expect(legend).to_have_text(["predicted, inference", "predicted, training"])
    elu = {"ops": ["conv2d"], "args": {"activation_fn": "elu"}}
    edited = link({"architecture": MOBILENET, "scopes": [elu]})
    page.evaluate("fragment => { location.hash = fragment }", edited)
    expect(legend).to_have_text(
        [
            "predicted, inference",
            "predicted, training",
            "predicted, inference, pinned build",
            "predicted, training, pinned build",
        ]
    )
    curve = page.get_by_role("img", name="rms by depth: 4 curves over 60 layers.")
    expect(curve).to_be_visible()
    expect(curve.locator("[stroke-opacity='0.6']")).to_have_count(2)
    headers = page.get_by_role("columnheader")
    expect(headers.filter(has_text="pinned")).to_have_count(2)
    assert_accessible(page)
    page.get_by_label("pinned build").uncheck()
    expect(legend).to_have_count(2)
    expect(headers.filter(has_text="pinned")).to_have_count(0)


@pytest.mark.parametrize(
    ("status", "title", "detail"),
    [
        (504, "The deadline passed", "The network was not measured within 45 seconds."),
        (503, "The worker died", "The worker died while it measured; it starts again."),
    ],
)
def test_a_worker_that_fails_leaves_the_prediction_standing(
    visit: Visit, status: int, title: str, detail: str
) -> None:
    page = open_probe(visit, {"architecture": "lenet"}, errors=(str(status),))

    def fail(route: Route) -> None:
        problem = {
            "type": "/docs#problem-deadline-passed",
            "title": title,
            "status": status,
            "detail": detail,
            "errors": [],
            "request_id": "",
        }
        route.fulfill(status=status, json=problem, content_type="application/problem+json")

    page.route("**/probe?*", fail)
    page.get_by_role("button", name="Measure").click()
    note = page.get_by_role("alert")
    expect(note).to_contain_text(title)
    expect(note).to_contain_text(detail)
    expect(page.locator(".verdicts")).to_contain_text("Predicted, inference: the scores are 11.3")
    assert_accessible(page)
    page.unroute("**/probe?*")
    note.get_by_role("button", name="Try again").click()
    expect(page.get_by_text(re.compile("Measured: the signal is"))).to_be_visible(timeout=90_000)


def test_a_network_whose_signal_cannot_be_predicted_says_why(visit: Visit) -> None:
    ones = {"ops": ["conv2d"], "args": {"weights_initializer": "ones_initializer"}}
    page = open_probe(visit, {"architecture": "lenet", "scopes": [ones]}, viewport=NARROW)
    expect(page.get_by_text("Predicted, inference: no gain. LeNet/")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") == NARROW["width"]
    assert_accessible(page)
