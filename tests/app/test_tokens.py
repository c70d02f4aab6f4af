"""The file of tokens, as it is written and as a running service follows it."""

import json
import logging
import os
import stat
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from app.callers.caller import Usage, UsageError
from app.callers.token_file import (
    PREFIX,
    TokensError,
    add_token,
    digest,
    read_tokens,
    revoke_token,
)
from app.callers.tokens import Tokens


class Clock:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "home" / "tokens.json"


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(autouse=True)
def _info(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    with caplog.at_level(logging.INFO):
        yield


# The file ----------------------------------------------------------------------------------------


def test_a_token_is_random_and_the_file_has_its_digest_alone(path: Path) -> None:
    tokens = [add_token(path, f"t{number}", "read") for number in range(20)]
    assert len(set(tokens)) == 20
    for token in tokens:
        assert token.startswith(PREFIX)
        assert len(token) == len(PREFIX) + 43  # 256 bits in base64
        assert token not in path.read_text()
        assert token[len(PREFIX) :] not in path.read_text()
    records, _ = read_tokens(path)
    assert [record.sha256 for record in records] == [digest(token).hex() for token in tokens]


def test_only_its_owner_reads_the_file_and_nothing_is_left_beside_it(path: Path) -> None:
    add_token(path, "a", "read")
    path.chmod(0o644)
    add_token(path, "b", "read")
    revoke_token(path, "a")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [each.name for each in path.parent.iterdir()] == ["tokens.json"]


def test_a_link_stays_a_link(path: Path, tmp_path: Path) -> None:
    add_token(path, "a", "read")
    link = tmp_path / "link.json"
    link.symlink_to(path)
    add_token(link, "b", "read")
    assert link.is_symlink()
    assert [record.name for record in read_tokens(path)[0]] == ["a", "b"]


def test_a_file_that_cannot_be_replaced_stays_as_it_was(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_token(path, "a", "read")
    before = path.read_bytes()

    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(TokensError) as refusal:
        add_token(path, "b", "read")
    assert str(refusal.value) == f"{path} cannot be written: No space left on device."
    assert path.read_bytes() == before
    assert [each.name for each in path.parent.iterdir()] == ["tokens.json"]


@pytest.mark.parametrize(
    ("name", "role", "options", "message"),
    [
        ("a", "read", {}, "{path} has a token 'a' already; revoke it first."),
        ("b", "adm", {}, "role does not accept 'adm'. Did you mean 'admin'?"),
        (
            "b c",
            "read",
            {},
            "The token is not valid: Expected `str` matching regex "
            "'^[A-Za-z0-9][A-Za-z0-9._-]{{0,63}}$' - at `$.name`.",
        ),
        (
            "b",
            "read",
            {"requests_per_s": 0.0},
            "The token is not valid: Expected `float` > 0.0 - at `$.requests_per_s`.",
        ),
        (
            "b",
            "read",
            {"concurrency": 0},
            "The token is not valid: Expected `int` >= 1 - at `$.concurrency`.",
        ),
    ],
)
def test_a_token_that_is_not_valid_is_not_written(
    path: Path, name: str, role: Any, options: dict[str, Any], message: str
) -> None:
    add_token(path, "a", "read")
    before = path.read_bytes()
    with pytest.raises(Exception) as refusal:  # noqa: PT011  a ZooError, whose text is compared
        add_token(path, name, role, **options)
    assert str(refusal.value) == message.format(path=path)
    assert path.read_bytes() == before


def test_revoking_what_is_not_there_names_what_is(path: Path) -> None:
    add_token(path, "a", "read")
    with pytest.raises(TokensError) as refusal:
        revoke_token(path, "b")
    assert str(refusal.value) == f"{path} has no token 'b'; it has: a."


def record(**changes: Any) -> dict[str, Any]:
    head = {"name": "a", "role": "read", "sha256": "0" * 64, "created": "2026-01-02T03:04:05Z"}
    return {**head, **changes}


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("{", "is no file of tokens: Input data was truncated."),
        ("[]", "is no file of tokens: Expected `object`, got `array`."),
        ('{"format": 2, "tokens": []}', "has format 2; this version of the service reads 1."),
        (
            json.dumps({"format": 1, "tokens": [record(role="root")]}),
            "is no file of tokens: Invalid enum value 'root' - at `$.tokens[0].role`.",
        ),
        (
            json.dumps({"format": 1, "tokens": [record(token="x")]}),
            "is no file of tokens: Object contains unknown field `token` - at `$.tokens[0]`.",
        ),
        (
            json.dumps({"format": 1, "tokens": [record(), record(sha256="1" * 64)]}),
            "has 2 tokens with name a.",
        ),
        (
            json.dumps({"format": 1, "tokens": [record(), record(name="b")]}),
            f"has 2 tokens with sha256 {'0' * 64}.",
        ),
    ],
)
def test_a_file_that_is_not_valid_is_refused_as_a_whole(
    tmp_path: Path, content: str, reason: str
) -> None:
    path = tmp_path / "tokens.json"
    path.write_text(content)
    with pytest.raises(TokensError) as refusal:
        read_tokens(path)
    assert str(refusal.value) == f"{path} {reason}"


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(TokensError) as refusal:
        read_tokens(tmp_path / "pipe")
    assert str(refusal.value) == f"{tmp_path / 'pipe'} is no regular file."


# A running service -------------------------------------------------------------------------------


def test_a_token_leads_to_its_caller(path: Path, clock: Clock) -> None:
    token = add_token(path, "ci", "build")
    tokens = Tokens(path, clock)
    caller = tokens.find(token)
    assert caller is not None
    assert (caller.name, caller.role) == ("token:ci", "build")
    for other in ("", PREFIX, token[:-1], token + "A", token.upper(), token[len(PREFIX) :]):
        assert tokens.find(other) is None


def test_changes_are_seen_after_a_second_and_not_looked_for_before(
    path: Path, clock: Clock
) -> None:
    first = add_token(path, "a", "read")
    tokens = Tokens(path, clock)
    second = add_token(path, "b", "infer")
    revoke_token(path, "a")
    clock.now += 0.9
    assert (bool(tokens.find(first)), bool(tokens.find(second))) == (True, False)
    clock.now += 0.1
    assert (bool(tokens.find(first)), bool(tokens.find(second))) == (False, True)


def test_a_change_in_place_of_the_same_size_is_seen(path: Path, clock: Clock) -> None:
    token = add_token(path, "a", "infer")
    tokens = Tokens(path, clock)
    status = path.stat()
    path.write_text(path.read_text().replace('"infer"', '"admin"'))
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    clock.now += 1
    caller = tokens.find(token)
    assert caller is not None
    assert caller.role == "admin"


def test_a_file_that_has_not_changed_is_not_read_again(
    path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = add_token(path, "a", "infer")
    old = datetime.now(UTC).timestamp() - 60
    os.utime(path, (old, old))
    monkeypatch.setattr("app.callers.tokens.time.time_ns", lambda: 2**62)  # long after
    tokens = Tokens(path, clock)
    reads = []
    monkeypatch.setattr("app.callers.tokens.read_tokens", reads.append)
    clock.now += 5
    assert tokens.find(token) is not None
    assert reads == []


@pytest.mark.parametrize("fault", ["removed", "invalid", "a folder"])
def test_a_file_that_cannot_be_read_lets_nobody_in_until_it_can(
    path: Path, clock: Clock, caplog: pytest.LogCaptureFixture, fault: str
) -> None:
    token = add_token(path, "a", "admin")
    tokens = Tokens(path, clock)
    content = path.read_bytes()
    caplog.clear()
    path.unlink()
    if fault == "invalid":
        path.write_text("{")
    elif fault == "a folder":
        path.mkdir()
    reasons = {
        "removed": "cannot be read: No such file or directory.",
        "invalid": "is no file of tokens: Input data was truncated.",
        "a folder": "is no regular file.",
    }
    for _ in range(3):
        clock.now += 1
        assert tokens.find(token) is None
    assert [(each.levelname, each.message) for each in caplog.records] == [
        ("ERROR", f"{path} {reasons[fault]} Until it can be read, every token of it is refused.")
    ]
    if fault == "a folder":
        path.rmdir()
    path.write_bytes(content)
    clock.now += 1
    assert tokens.find(token) is not None
    assert caplog.records[-1].message == f"Access by 1 token in {path}."


def test_a_service_does_not_start_on_a_file_that_is_not_valid(path: Path) -> None:
    path.parent.mkdir()
    path.write_text("{")
    with pytest.raises(TokensError):
        Tokens(path)


def test_a_token_ends_when_its_time_is_over(
    path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    expires = datetime.now(UTC) + timedelta(days=1)
    token = add_token(path, "a", "read", expires=expires)
    tokens = Tokens(path, clock)
    for offset, is_valid in ((-1.0, True), (0.0, False), (1.0, False)):
        now = expires.timestamp() + offset
        monkeypatch.setattr("app.callers.tokens.time.time", lambda now=now: now)
        assert bool(tokens.find(token)) is is_valid


def test_what_a_token_has_used_stays_counted_when_the_file_changes(
    path: Path, clock: Clock
) -> None:
    token = add_token(path, "a", "read", concurrency=1)
    tokens = Tokens(path, clock)
    first = tokens.find(token)
    assert first is not None
    assert first.usage is not None
    first.usage.enter()
    add_token(path, "b", "read")
    clock.now += 1
    second = tokens.find(token)
    assert second is not None
    assert second.usage is not None
    with pytest.raises(UsageError, match="1 requests of this caller are already in progress"):
        second.usage.enter()


# Limits ------------------------------------------------------------------------------------------


def usage(clock: Clock, per_s: float | None, concurrency: int | None = None) -> Usage:
    made = Usage(clock)
    made.limit(per_s, concurrency)
    return made


def test_the_requests_of_a_second_may_come_at_once(clock: Clock) -> None:
    limited = usage(clock, 3)
    for _ in range(3):
        limited.count()
    with pytest.raises(UsageError) as refusal:
        limited.count()
    assert str(refusal.value) == "This caller may send 3 requests a second."
    assert (refusal.value.reason, refusal.value.retry_after_s) == ("token-rate", 1)
    clock.now += 1 / 3 + 0.001
    limited.count()
    with pytest.raises(UsageError):
        limited.count()
    clock.now += 60  # what was not sent is not saved up
    for _ in range(3):
        limited.count()
    with pytest.raises(UsageError):
        limited.count()


def test_less_than_one_request_a_second_says_when_the_next_may_come(clock: Clock) -> None:
    limited = usage(clock, 0.1)
    limited.count()
    with pytest.raises(UsageError) as refusal:
        limited.count()
    assert str(refusal.value) == "This caller may send 0.1 requests a second."
    assert refusal.value.retry_after_s == 10
    clock.now += 10
    limited.count()


def test_only_so_many_requests_are_in_progress(clock: Clock) -> None:
    limited = usage(clock, None, 2)
    limited.enter()
    limited.enter()
    with pytest.raises(UsageError) as refusal:
        limited.enter()
    assert (refusal.value.reason, refusal.value.retry_after_s) == ("token-concurrency", 1)
    limited.leave()
    limited.enter()


def test_without_limits_nothing_is_refused(clock: Clock) -> None:
    free = usage(clock, None)
    for _ in range(1000):
        free.count()
        free.enter()
