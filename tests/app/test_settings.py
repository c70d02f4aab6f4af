"""The environment describes the service, or it does not start."""

from collections.abc import Callable

import pytest
from starlette.testclient import TestClient

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


@pytest.mark.parametrize("name", limit_fields())
def test_a_limit_of_less_than_nothing_is_refused(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(variable(name), "-1")
    with pytest.raises(SettingsError, match=variable(name)):
        load_settings()
