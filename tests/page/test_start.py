"""Start: presets, builds, links and the catalogue; and the address, which keeps the work."""

import json
import zlib
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from page_tests import Visit, assert_accessible, pack_spec, unpack_spec
from playwright.sync_api import Locator, Page, expect
from zoo_server import ROOT

PRESETS: list[dict[str, Any]] = json.loads((ROOT / "page/src/start/presets.json").read_bytes())
DEMO = "27.2"
LENET = {"architecture": "lenet"}

Build = Callable[[dict[str, Any]], dict[str, Any]]


@pytest.fixture
def build(site: str) -> Build:
    """Ask what a spec would be as a build, with its explanation."""

    def answer(spec: dict[str, Any]) -> dict[str, Any]:
        url = f"{site}/v1/builds?keep=false&include=explanation"
        response = httpx.post(url, json=spec, timeout=60)
        assert response.status_code == 200, response.text
        document: dict[str, Any] = response.json()
        return document

    return answer


def preset(title: str) -> dict[str, Any]:
    (spec,) = [each["spec"] for each in PRESETS if each["title"].startswith(title)]
    return dict(spec)


def overrides(answer: dict[str, Any]) -> dict[tuple[str, str], tuple[int, int]]:
    """Return how many calls each override reached, and at how many it won."""
    return {
        (each["pointer"].removeprefix("/scopes/"), each["op"]): (each["reached"], each["won"])
        for each in answer["explanation"]["overrides"]
    }


def start(page: Page, way: str = "Presets") -> Locator:
    page.get_by_role("button", name="Start", exact=True).click()
    dialog = page.get_by_role("dialog", name="Start from")
    dialog.get_by_role("tab", name=way).click()
    return dialog


def shows(page: Page, parameters: str) -> None:
    """Wait until the totals are those of a network with so many parameters."""
    expect(page.locator(".totals")).to_contain_text(parameters)


def wait_for_address(page: Page, spec: dict[str, Any] | None) -> None:
    """Wait until the address holds a spec, or nothing."""
    page.wait_for_url(
        lambda url: "#" not in url if spec is None else "#s=" in url and unpack_spec(url) == spec
    )


# Presets --------------------------------------------------------------------------------------


def test_there_are_ten_presets_and_the_first_is_the_demo() -> None:
    assert len(PRESETS) == 10
    assert PRESETS[0]["spec"] == json.loads((ROOT / "examples/demo.json").read_bytes())


def test_group_norm_is_the_documented_example() -> None:
    example = json.loads((ROOT / "examples/group_norm.json").read_bytes())
    assert preset("Group norm") == example


def test_two_levels_of_the_demo_change_nothing(build: Build) -> None:
    assert overrides(build(preset("Four nested"))) == {
        ("0/args/activation_fn", "conv2d"): (98, 96),
        ("0/args/normalizer_fn", "conv2d"): (98, 96),
        ("0/args/activation_fn", "separable_conv2d"): (0, 0),
        ("0/args/normalizer_fn", "separable_conv2d"): (0, 0),
        ("1/args/decay", "batch_norm"): (96, 0),
        ("1/args/scale", "batch_norm"): (96, 0),
        ("2/args/weights_regularizer", "conv2d"): (98, 98),
        ("3/args/weights_regularizer", "separable_conv2d"): (0, 0),
    }


def test_relu6_gives_way_to_the_network(build: Build) -> None:
    answer = build(preset("ReLU6"))
    assert overrides(answer) == {("0/args/activation_fn", "conv2d"): (54, 32)}
    (override,) = answer["explanation"]["overrides"]
    assert {each["level"] for each in override["beaten_by"]} == {"network"}


def test_only_a_forced_level_changes_the_normalizer_of_mobilenet_v2(build: Build) -> None:
    spec = preset("Group norm")
    forced = overrides(build(spec))
    assert forced["0/args/normalizer_fn", "conv2d"] == (35, 35)
    assert forced["0/args/normalizer_fn", "separable_conv2d"] == (17, 17)
    plain = {**spec["scopes"][0], "force": False, "args": {"normalizer_fn": "group_norm"}}
    assert {won for _, won in overrides(build({**spec, "scopes": [plain]})).values()} == {0}


def test_one_block_has_biases_in_place_of_batch_norm(build: Build) -> None:
    answer = build(preset("One block"))
    assert overrides(answer) == {("0/args/normalizer_fn", "conv2d"): (6, 6)}
    names = [layer["name"] for layer in answer["layers"] if "/Mixed_3b/" in layer["name"]]
    normalized = [name for name in names if name.endswith("/BatchNorm")]
    assert [name.split("/")[2] for name in normalized] == ["Branch_3"]


def test_the_scope_of_mobilenet_written_out_changes_nothing(site: str) -> None:
    both = {"a": {"architecture": "mobilenet_v1"}, "b": preset("MobileNet's own")}
    diff = httpx.post(f"{site}/v1/diff", json=both).json()
    assert diff["layers"] == []
    values = {
        (each["argument"], json.dumps(each["a"]["value"]), json.dumps(each["b"]["value"]))
        for each in diff["settings"]
        if each["a"]["value"] != each["b"]["value"]
    }
    assert values == set()


def test_dropout_trains_while_batch_norm_is_frozen(build: Build) -> None:
    answer = build(preset("Training"))
    assert answer["spec"]["is_training"] is True
    assert overrides(answer) == {
        ("0/args/is_training", "batch_norm"): (57, 57),
        ("1/args/keep_prob", "dropout"): (1, 1),
    }


def ratio(name: str, answer: dict[str, Any], other: dict[str, Any]) -> float:
    return float(answer["totals"][name] / other["totals"][name])


def test_half_the_width_is_a_quarter_of_the_size(build: Build) -> None:
    half, whole = build(preset("Half the width")), build({"architecture": "inception_v2"})
    assert ratio("parameters", half, whole) == pytest.approx(0.25, abs=0.03)
    assert ratio("multiply_adds", half, whole) == pytest.approx(0.25, abs=0.03)


def test_dilation_keeps_the_weights_and_the_map(build: Build) -> None:
    spec = preset("Dilated")
    dilated = build(spec)
    strided = build({**spec, "params": {**spec["params"], "output_stride": None}})
    assert dilated["output_shape"] == [None, 28, 28, 2048]
    assert strided["output_shape"] == [None, 7, 7, 2048]
    assert ratio("parameters", dilated, strided) == 1
    assert ratio("multiply_adds", dilated, strided) == pytest.approx(5, abs=0.5)


def test_one_argument_makes_the_convolutions_of_s3dg_whole(build: Build) -> None:
    whole, published = build(preset("Video")), build({"architecture": "s3dg"})
    key = ("0/args/separable", "conv3d_spatiotemporal")
    assert overrides(whole) == {key: (20, 19)}
    assert ratio("multiply_adds", whole, published) == pytest.approx(1.5, abs=0.01)
    assert whole["input_shape"][0] == 64


def test_one_line_reaches_every_batch_norm_of_the_big_one(build: Build) -> None:
    answer = build(preset("NASNet"))
    assert answer["totals"]["layers"] == 1007
    assert overrides(answer) == {("0/args/decay", "batch_norm"): (264, 264)}


def test_a_preset_is_chosen_with_the_keyboard_alone(visit: Visit) -> None:
    page = visit()
    shows(page, DEMO)
    button = page.get_by_role("button", name="Start", exact=True)
    button.focus()
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog", name="Start from")
    card = dialog.get_by_role("button", name="Half the width")
    expect(card).to_be_visible()
    assert_accessible(page)
    page.keyboard.press("Escape")
    # Hidden comes first: the browser says only then that it has closed, which closes what is open.
    expect(page.locator("dialog")).to_have_count(0)
    expect(button).to_be_focused()
    page.keyboard.press("Enter")
    card.focus()
    page.keyboard.press("Enter")
    expect(dialog).to_have_count(0)
    expect(button).to_be_focused()
    shows(page, "3.07")
    page.get_by_role("button", name="Undo").click()
    shows(page, DEMO)


# The catalogue --------------------------------------------------------------------------------


def test_the_catalogue_is_searched_limited_and_sorted(visit: Visit) -> None:
    page = visit()
    dialog = start(page, "Architectures")
    names = dialog.get_by_role("rowheader")
    expect(names).to_have_count(44)
    assert_accessible(page)
    dialog.get_by_role("searchbox").fill("resnet v2")
    expect(names).to_have_text(
        ["inception_resnet_v2", "resnet_v2_50", "resnet_v2_101", "resnet_v2_152", "resnet_v2_200"]
    )
    dialog.get_by_label("Parameters to").fill("50M")
    expect(dialog.get_by_text("2 of 44 architectures")).to_be_visible()
    dialog.get_by_role("button", name="Multiply-adds").click()
    dialog.get_by_role("button", name="Multiply-adds").click()
    expect(names).to_have_text(["resnet_v2_101", "resnet_v2_50"])
    expect(dialog.get_by_role("columnheader", name="Multiply-adds")).to_have_attribute(
        "aria-sort", "descending"
    )
    dialog.get_by_label("Parameters from").fill("many")
    expect(dialog.get_by_label("Parameters from")).to_have_attribute("aria-invalid", "true")
    dialog.get_by_role("searchbox").fill("no such network")
    expect(dialog.get_by_text("No architecture fits all of these.")).to_be_visible()
    dialog.get_by_role("searchbox").fill("")
    dialog.get_by_role("combobox", name="Family").select_option(index=1)
    expect(dialog.get_by_text("of 44 architectures")).to_be_visible()


def test_an_architecture_starts_an_empty_network_or_keeps_the_scopes(visit: Visit) -> None:
    page = visit()
    start(page, "Architectures").get_by_role("button", name="cifarnet").click()
    shows(page, "1.76")
    wait_for_address(page, {"architecture": "cifarnet"})
    page.get_by_role("button", name="Undo").click()
    shows(page, DEMO)
    dialog = start(page, "Architectures")
    dialog.get_by_label("Keep my scopes").check()
    dialog.get_by_role("button", name="inception_v1").click()
    shows(page, "6.63")
    wait_for_address(page, {**PRESETS[0]["spec"], "architecture": "inception_v1"})


# Builds and links -----------------------------------------------------------------------------


def test_a_stored_build_is_opened_from_the_list_or_by_what_is_pasted(
    visit: Visit, site: str
) -> None:
    stored = httpx.post(f"{site}/v1/builds", json=LENET).json()["id"]
    page = visit(errors=("404",))
    dialog = start(page, "Build or link")
    dialog.get_by_role("button", name=stored[:8]).click()
    shows(page, "3.27")
    expect(page).to_have_url(f"{site}/#b={stored}")
    dialog = start(page, "Build or link")
    box = dialog.get_by_role("textbox")
    opener = dialog.get_by_role("button", name="Open")
    box.fill("inception_v3")
    opener.click()
    expect(dialog.get_by_role("alert")).to_have_text(
        "This is neither a build's id, which has 32 hexadecimal digits, nor a link with #b= or #s=."
    )
    box.fill("0" * 32)
    opener.click()
    expect(dialog.get_by_role("alert")).to_contain_text("0" * 32)
    assert_accessible(page)
    box.fill(f"http://elsewhere/#s={pack_spec({'architecture': 'cifarnet'})}")
    box.press("Enter")
    expect(dialog).to_have_count(0)
    shows(page, "1.76")


def test_a_link_made_by_python_opens_and_the_address_is_read_by_python(visit: Visit) -> None:
    spec = {**LENET, "scopes": [{"ops": ["conv2d"], "args": {"activation_fn": "elu"}}]}
    page = visit(f"#s={pack_spec(spec)}&layer=LeNet/conv1")
    shows(page, "3.27")
    start(page).get_by_role("button", name="Half the width").click()
    wait_for_address(page, preset("Half the width"))
    page.reload()
    shows(page, "3.07")


def test_a_link_pasted_into_the_open_page_opens(visit: Visit) -> None:
    page = visit()
    shows(page, DEMO)
    page.evaluate("packed => { location.hash = `s=${packed}` }", pack_spec(LENET))
    shows(page, "3.27")
    page.get_by_role("button", name="Undo").click()
    shows(page, DEMO)
    wait_for_address(page, None)


@pytest.mark.parametrize(
    ("fragment", "sentence"),
    [
        ("#s=abc", "The link's #s= is damaged: it is not base64url of raw deflate."),
        (f"#s={pack_spec([])}", "The link's #s= holds no spec: a spec is a JSON object."),
        ("#b=12", "The link's #b= is no build's id, which has 32 hexadecimal digits: \"12\"."),
        (f"#b={'0' * 32}", "0" * 32),
    ],
)
def test_a_damaged_link_is_told_and_the_first_preset_opens(
    visit: Visit, fragment: str, sentence: str
) -> None:
    page = visit(fragment, errors=("404",))
    notice = page.get_by_role("alert")
    expect(notice).to_contain_text(sentence)
    expect(notice).to_contain_text("The first preset is shown instead.")
    shows(page, DEMO)
    if "12" in fragment:
        assert_accessible(page)
    page.get_by_role("button", name="Dismiss").click()
    expect(notice).to_have_count(0)


def test_a_layer_that_the_network_does_not_have_is_told(visit: Visit) -> None:
    page = visit(f"#s={pack_spec(LENET)}&layer=LeNet/conv9")
    expect(page.get_by_role("alert")).to_contain_text(
        "The link selects the layer LeNet/conv9, which lenet does not have here."
    )


def test_a_spec_that_is_too_long_for_the_address_is_told(visit: Visit) -> None:
    noise = " ".join(f"{zlib.crc32(str(each).encode()):x}" for each in range(3000))
    page = visit(errors=("400",))
    shows(page, DEMO)
    long = pack_spec({**LENET, "params": {"noise": noise}})
    page.evaluate("packed => { location.hash = `s=${packed}` }", long)
    expect(page.get_by_role("alert")).to_contain_text("This spec is too long for the address")
    wait_for_address(page, None)


def test_the_ways_to_start_work_in_a_narrow_window(visit: Visit) -> None:
    page = visit(viewport={"width": 390, "height": 844})
    dialog = start(page, "Architectures")
    expect(dialog.get_by_role("rowheader")).to_have_count(44)
    assert_accessible(page)
    overflow = "() => document.scrollingElement.scrollWidth - innerWidth"
    assert page.evaluate(overflow) <= 0
    dialog.get_by_role("tab", name="Presets").click()
    dialog.get_by_role("button", name="Dilated ResNet").click()
    shows(page, "23.6")


def test_a_catalogue_that_fails_fails_alone_and_is_asked_for_again(visit: Visit) -> None:
    page = visit(errors=("503",))
    problem = {
        "type": "/docs#problem-overloaded",
        "title": "Overloaded",
        "status": 503,
        "detail": "Too much work.",
        "errors": [],
        "request_id": "",
    }
    page.route(
        "**/v1/architectures",
        lambda route: route.fulfill(
            status=503, content_type="application/problem+json", body=json.dumps(problem)
        ),
    )
    page.reload()
    dialog = start(page, "Architectures")
    expect(dialog.get_by_role("alert")).to_contain_text("Too much work.")
    assert_accessible(page)
    page.unroute("**/v1/architectures")
    dialog.get_by_role("button", name="Try again").click()
    expect(dialog.get_by_role("rowheader")).to_have_count(44)
