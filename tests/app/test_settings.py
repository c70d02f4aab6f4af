"""The environment describes the service, or it does not start."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from app.main import create_app
from app.reach import OWN_SEGMENTS
from app.settings import Settings, SettingsError, limit_fields, load_settings, variable
from model_zoo.level_format import MAX_LEVELS


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in Settings.model_fields:
        monkeypatch.delenv(variable(name), raising=False)


def test_every_setting_has_a_default_and_a_description() -> None:
    settings = load_settings()
    assert (settings.host, settings.port, settings.device) == ("127.0.0.1", 8000, "auto")
    assert all(field.description for field in Settings.model_fields.values())


def test_a_variable_sets_its_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ZOO_MAX_BATCH", "3")
    assert load_settings().max_batch == 3


def test_an_unknown_variable_is_refused_with_the_nearest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ZOO_PROT", "1")
    monkeypatch.setenv("ZOO_MAX_BACH", "1")
    with pytest.raises(SettingsError) as refusal:
        load_settings()
    assert str(refusal.value) == (
        "ZOO_MAX_BACH is not a setting. Did you mean "
        "'ZOO_MAX_BATCH' or 'ZOO_MAX_SCOPES' or 'ZOO_MAX_LAYERS'?\n"
        "ZOO_PROT is not a setting. Did you mean 'ZOO_PORT' or 'ZOO_HOST' or 'ZOO_OPEN_ROUTES'?"
    )


def test_every_value_that_does_not_fit_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ZOO_PORT", "99999")
    monkeypatch.setenv("ZOO_DEVICE", "tpu")
    monkeypatch.setenv("ZOO_MAX_BATCH", "many")
    with pytest.raises(SettingsError) as refusal:
        load_settings()
    assert str(refusal.value) == (
        "ZOO_PORT: input should be less than or equal to 65535, received '99999'.\n"
        "ZOO_DEVICE: input should be 'auto', 'cpu' or 'gpu', received 'tpu'.\n"
        "ZOO_MAX_BATCH: input should be a valid integer, unable to parse string as an integer, "
        "received 'many'."
    )


@pytest.mark.parametrize(("name", "most"), [("max_scopes", MAX_LEVELS), ("max_json_depth", 200)])
def test_a_limit_above_what_can_be_read_again_is_refused(
    monkeypatch: pytest.MonkeyPatch, name: str, most: int
) -> None:
    monkeypatch.setenv(variable(name), str(most))
    assert getattr(load_settings(), name) == most
    monkeypatch.setenv(variable(name), str(most + 1))
    with pytest.raises(SettingsError) as refusal:
        load_settings()
    assert str(refusal.value) == (
        f"{variable(name)}: input should be less than or equal to {most}, received '{most + 1}'."
    )


@pytest.mark.parametrize("opening", ["[", '{"a":'])
def test_the_deepest_document_that_may_be_set_is_answered(
    make_client: Callable[..., TestClient], opening: str
) -> None:
    client = make_client(max_json_depth=200)
    closing = "]" if opening == "[" else "}"
    deep = opening * 198 + "1" + closing * 198
    spec = f'{{"architecture": "lenet", "params": {{"a": {deep}}}}}'
    assert client.post("/v1/builds", content=spec).status_code == 422
    response = client.put("/v1/scopes/x", content=f'{{"levels": [], "left_out": [{deep}]}}')
    assert response.status_code == 201


def test_a_build_of_the_most_levels_is_read_again(make_client: Callable[..., TestClient]) -> None:
    client = make_client(max_scopes=MAX_LEVELS)
    levels = [{"ops": ["conv2d"], "args": {"stride": 1 + n % 2}} for n in range(MAX_LEVELS)]
    made = client.post("/v1/builds", json={"architecture": "lenet", "scopes": levels})
    assert made.status_code == 201, made.text[:500]
    assert client.get(f"/v1/builds/{made.json()['id']}/summary").status_code == 200


@pytest.mark.parametrize(
    "value",
    [
        "zoo",
        "/zoo/",
        "/",
        "//zoo",
        "/zoo/../x",
        "/v1.2",
        "/zoo?x",
        "/zoo#x",
        "/zoo\r\nX: y",
        "/zoo\n",
        "/zö",
        "/a b",
        "/%7Ezoo",
        "/" + 200 * "a",
    ],
)
def test_a_prefix_that_is_no_plain_path_is_refused(
    monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    monkeypatch.setenv("ZOO_ROOT_PATH", value)
    with pytest.raises(SettingsError) as refusal:
        load_settings()
    assert str(refusal.value) == (
        "ZOO_ROOT_PATH: input should be at most 200 characters: segments of letters, digits, '_', "
        f"'~' and '-', each after a slash, such as /tools/zoo, received {value!r}."
    )


@pytest.mark.parametrize("segment", ["v1", "v2", "docs", "assets", "healthz", "metrics"])
def test_a_prefix_that_a_path_of_the_service_could_have_is_refused(
    monkeypatch: pytest.MonkeyPatch, segment: str
) -> None:
    monkeypatch.setenv("ZOO_ROOT_PATH", f"/tools/{segment}")
    with pytest.raises(SettingsError) as refusal:
        load_settings()
    assert str(refusal.value) == (
        f"ZOO_ROOT_PATH: input should not have {segment!r}, as the service's own paths do, "
        f"received '/tools/{segment}'."
    )


def test_no_path_of_the_service_begins_with_what_a_prefix_may(tmp_path: Path) -> None:
    paths = create_app(Settings(home=tmp_path)).openapi()["paths"]
    assert {*(path.split("/")[1] for path in paths), "assets"} == {*OWN_SEGMENTS, ""}


def test_lists_have_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ZOO_TRUSTED_PROXIES", "10.0.0.7, fd00::/8,")
    monkeypatch.setenv("ZOO_CORS_ORIGINS", "https://lab.example,http://[::1]:3000, app://x")
    settings = load_settings()
    assert settings.trusted_proxies == ("10.0.0.7", "fd00::/8")
    assert settings.cors_origins == ("https://lab.example", "http://[::1]:3000", "app://x")


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("proxy.example", "'proxy.example' does not appear to be an IPv4 or IPv6 network"),
        ("*", "'*' does not appear to be an IPv4 or IPv6 network"),
        ("10.0.0.1/8", "10.0.0.1/8 has host bits set"),
    ],
)
def test_a_proxy_that_is_no_address_is_refused(
    monkeypatch: pytest.MonkeyPatch, value: str, reason: str
) -> None:
    monkeypatch.setenv("ZOO_TRUSTED_PROXIES", value)
    with pytest.raises(SettingsError) as refusal:
        load_settings()
    assert str(refusal.value) == (
        "ZOO_TRUSTED_PROXIES: each should be an address or a network, such as 10.0.0.7 or "
        f"10.0.0.0/8; {reason}, received {value!r}."
    )


@pytest.mark.parametrize("value", ["0.0.0.0/0", "::/0"])
def test_trust_in_everybody_is_refused(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("ZOO_TRUSTED_PROXIES", value)
    with pytest.raises(SettingsError) as refusal:
        load_settings()
    assert str(refusal.value) == (
        f"ZOO_TRUSTED_PROXIES: {value} is every address, so any client could name itself, "
        f"received {value!r}."
    )


@pytest.mark.parametrize(
    "origin",
    [
        "null",
        "lab.example",
        "https://lab.example/",
        "https://Lab.example",
        "https://*.example",
        "https://lab.example:443",
        "http://lab.example:80",
        "https://user@lab.example",
    ],
)
def test_an_origin_that_no_browser_sends_is_refused(
    monkeypatch: pytest.MonkeyPatch, origin: str
) -> None:
    monkeypatch.setenv("ZOO_CORS_ORIGINS", origin)
    with pytest.raises(SettingsError) as refusal:
        load_settings()
    assert str(refusal.value) == (
        "ZOO_CORS_ORIGINS: each should be * or an origin as browsers send it, such as "
        "https://example.org or http://localhost:3000 (lower case, no path, no default port); "
        f"{origin!r} is none, received {origin!r}."
    )


def test_a_star_stands_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ZOO_CORS_ORIGINS", "*,https://lab.example")
    with pytest.raises(SettingsError) as refusal:
        load_settings()
    assert str(refusal.value) == (
        "ZOO_CORS_ORIGINS: * allows every origin: name no other beside it, received "
        "'*,https://lab.example'."
    )


def test_uvicorns_own_variable_is_not_left_out_in_silence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORWARDED_ALLOW_IPS", "10.0.0.7")
    with pytest.raises(SettingsError) as refusal:
        load_settings()
    assert str(refusal.value) == (
        "FORWARDED_ALLOW_IPS is not read: name the proxies in ZOO_TRUSTED_PROXIES."
    )
    monkeypatch.setenv("ZOO_TRUSTED_PROXIES", "10.0.0.7")
    assert load_settings().trusted_proxies == ("10.0.0.7",)


@pytest.mark.parametrize("name", limit_fields())
def test_a_limit_of_less_than_nothing_is_refused(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(variable(name), "-1")
    with pytest.raises(SettingsError, match=variable(name)):
        load_settings()


@pytest.mark.parametrize(
    "address", ["", "auto", "10.0.0.1:6379", "head.ray.svc:6379", "[::1]:6379"]
)
def test_a_cluster_is_named_by_its_head(monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    monkeypatch.setenv("ZOO_RAY_ADDRESS", address)
    assert load_settings().ray_address == address


@pytest.mark.parametrize(
    ("address", "rule"),
    [
        (
            "ray://head:10001",
            "input should be auto or host:port, as the service runs on a node of the cluster, and "
            "not as a client of Ray",
        ),
        ("local", "input should be auto, host:port, or empty"),
        ("head", "input should be auto, host:port, or empty"),
        ("http://head:8265", "input should be auto, host:port, or empty"),
    ],
)
def test_other_addresses_of_a_cluster_are_refused(
    monkeypatch: pytest.MonkeyPatch, address: str, rule: str
) -> None:
    monkeypatch.setenv("ZOO_RAY_ADDRESS", address)
    with pytest.raises(SettingsError) as refusal:
        load_settings()
    assert str(refusal.value) == f"ZOO_RAY_ADDRESS: {rule}, received '{address}'."


def test_a_cluster_needs_the_extra(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    for name in [each for each in sys.modules if each.startswith("app.cluster.ray_cluster")]:
        monkeypatch.delitem(sys.modules, name)
    with pytest.raises(SettingsError) as refusal:
        create_app(Settings(home=tmp_path, ray_address="auto"))
    assert str(refusal.value) == (
        "ZOO_RAY_ADDRESS needs the extra ray: pip install 'model-zoo-service[ray]'."
    )


def test_the_default_engine_imports_no_ray() -> None:
    code = "import sys, app.__main__; print(sorted({'ray', 'app.cluster'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
