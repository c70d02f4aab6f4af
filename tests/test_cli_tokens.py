"""`model-zoo token`: makes, lists and revokes the tokens of a service."""

import json
import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from app.callers.tokens import Tokens
from model_zoo.cli import main


@pytest.fixture
def run(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., tuple[int, str, str]]:
    """Return a function that runs a command on a home, and returns what it did."""
    monkeypatch.setenv("ZOO_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("ZOO_TOKENS_FILE", raising=False)

    def run(*arguments: str) -> tuple[int, str, str]:
        status = main(["token", *arguments])
        printed = capsys.readouterr()
        return status, printed.out, printed.err

    return run


Run = Callable[..., tuple[int, str, str]]


def test_a_token_is_printed_once_and_alone(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "home" / "tokens.json"
    status, token, notes = run("add", "ci", "--role", "build")
    assert (status, notes) == (
        0,
        f"{path} has its digest; the token itself is not shown again.\n"
        "A service that runs already, without tokens, needs a restart.\n",
    )
    caller = Tokens(path).find(token.strip())
    assert caller is not None
    assert (caller.name, caller.role) == ("token:ci", "build")
    _, second, notes = run("add", "other", "--role", "read")
    assert second != token
    assert notes == f"{path} has its digest; the token itself is not shown again.\n"
    for form in ("text", "json"):
        printed = run("list", "--format", form)[1]
        assert "ci" in printed
        assert token.strip() not in printed


def test_the_list_has_roles_times_and_limits(run: Run) -> None:
    run("add", "ci", "--role", "build")
    limits = ("--expires", "30", "--requests-per-s", "2.5", "--concurrency", "4")
    run("add", "bot", "--role", "infer", *limits)
    rows = json.loads(run("list", "--format", "json")[1])
    created, expires = (
        datetime.fromisoformat(rows[1].pop(each)) for each in ("created", "expires")
    )
    assert expires - created == timedelta(days=30)
    assert rows[1] == {
        "name": "bot",
        "role": "infer",
        "expired": False,
        "requests_per_s": 2.5,
        "concurrency": 4,
    }
    header, _, first, second = run("list")[1].splitlines()
    assert header.split() == ["name", "role", "created", "expires", "requests/s", "concurrency"]
    assert first.split()[3:] == ["never", "no", "limit", "no", "limit"]
    assert second.split()[-2:] == ["2.5", "4"]


def test_an_expired_token_is_marked(run: Run, tmp_path: Path) -> None:
    run("add", "old", "--role", "read", "--expires", "1")
    path = tmp_path / "home" / "tokens.json"
    document: Any = json.loads(path.read_text())
    document["tokens"][0]["expires"] = "2020-01-01T00:00:00Z"
    path.write_text(json.dumps(document))
    assert "2020-01-01T00:00:00Z (expired)" in run("list")[1]


def test_a_revoked_token_is_gone(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "home" / "tokens.json"
    token = run("add", "ci", "--role", "build")[1].strip()
    assert run("revoke", "ci") == (0, f"{path}: ci is revoked.\n", "")
    assert Tokens(path).find(token) is None
    assert run("revoke", "ci") == (1, "", f"model-zoo: {path} has no token 'ci'; it has: none.\n")


def test_an_option_or_a_variable_names_another_file(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ZOO_TOKENS_FILE", str(tmp_path / "a.json"))
    run("add", "a", "--role", "read")
    run("add", "b", "--role", "read", "--file", str(tmp_path / "b.json"))
    assert {path.name for path in tmp_path.iterdir()} == {"a.json", "b.json"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("add", "a", "--role", "adm"), "role does not accept 'adm'. Did you mean 'admin'?"),
        (
            ("add", "a", "--role", "read", "--expires", "0"),
            "--expires takes days above 0, at most 36500; received 0.",
        ),
        (
            ("add", "a", "--role", "read", "--expires", "nan"),
            "--expires takes days above 0, at most 36500; received nan.",
        ),
        (("list",), "{path} cannot be read: No such file or directory."),
    ],
)
def test_what_is_not_valid_is_refused(
    run: Run, tmp_path: Path, arguments: tuple[str, ...], message: str
) -> None:
    path = tmp_path / "home" / "tokens.json"
    assert run(*arguments) == (1, "", f"model-zoo: {message.format(path=path)}\n")
    assert not path.exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_a_file_that_root_makes_is_the_homes_owners(run: Run, tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    os.chown(home, 10001, 10001)
    run("add", "a", "--role", "read")
    run("add", "b", "--role", "read")
    assert (home / "tokens.json").stat().st_uid == 10001
    assert (home / "tokens.json").stat().st_mode & 0o777 == 0o600


def test_times_are_of_the_same_day_everywhere(run: Run) -> None:
    run("add", "a", "--role", "read")
    (row,) = json.loads(run("list", "--format", "json")[1])
    assert row["created"].endswith("Z")
    assert abs(datetime.fromisoformat(row["created"]) - datetime.now(UTC)) < timedelta(minutes=1)
