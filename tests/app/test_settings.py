"""The environment describes the service, or it does not start."""

import pytest

from app.settings import Settings, SettingsError, limit_fields, load_settings, variable


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
        "ZOO_PROT is not a setting. Did you mean 'ZOO_PORT' or 'ZOO_HOST' or 'ZOO_PRECISION'?"
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


@pytest.mark.parametrize("name", limit_fields())
def test_a_limit_of_less_than_nothing_is_refused(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(variable(name), "-1")
    with pytest.raises(SettingsError, match=variable(name)):
        load_settings()
