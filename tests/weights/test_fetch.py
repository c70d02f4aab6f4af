"""Fetching a file: resumed, checked, bounded, refused. Against a server of the test's own."""

import hashlib
import json
import re
import socket
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest

from model_zoo.errors import WeightsError
from model_zoo.weights.fetch import fetch

BODY = bytes(range(256)) * 40
SHA256 = hashlib.sha256(BODY).hexdigest()
OTHER = b"other" * 2048
ETAG = '"one"'
LATE, EARLY = "Mon, 02 Jan 2023 00:00:00 GMT", "Sun, 01 Jan 2023 00:00:00 GMT"

Headers = dict[str, str]
Answer = Callable[["Handler"], None]


class Handler(BaseHTTPRequestHandler):
    """Answers each request with the next behaviour of the script."""

    server: "Scripted"

    def do_GET(self) -> None:
        self.server.seen.append(dict(self.headers))
        self.server.script.pop(0)(self)

    def answer(self, status: int, body: bytes = b"", **headers: str) -> None:
        """Send a whole answer; a header given as "" is left out."""
        self.send_response_only(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            if value:
                self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


class Scripted(ThreadingHTTPServer):
    script: list[Answer]
    seen: list[Headers]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/weights.tgz"


@pytest.fixture(scope="module")
def client() -> Iterator[httpx.Client]:
    """One for all: to make one takes longer than most of these tests."""
    with httpx.Client(trust_env=False) as client:
        yield client


@pytest.fixture
def server() -> Iterator[Scripted]:
    with Scripted(("127.0.0.1", 0), Handler) as running:
        running.script, running.seen = [], []
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield running
        finally:
            running.shutdown()
            thread.join()
    assert running.script == [], "not all of the script was asked for"


class Fetcher:
    """Fetches from the server, and keeps what it said and how long it would have slept."""

    def __init__(self, server: Scripted, client: httpx.Client, target: Path) -> None:
        self.server = server
        self.client = client
        self.target = target
        self.said: list[tuple[int, int | None]] = []
        self.slept: list[float] = []

    def __call__(self, *script: Answer, sha256: str | None = None, **options: int) -> str:
        self.server.script.extend(script)
        return fetch(
            self.server.url,
            self.target,
            sha256=sha256,
            progress=lambda done, total: self.said.append((done, total)),
            client=self.client,
            sleep=self.slept.append,
            **options,
        )

    def refused(self, *script: Answer, sha256: str | None = None, **options: int) -> str:
        with pytest.raises(WeightsError) as caught:
            self(*script, sha256=sha256, **options)
        return str(caught.value).replace(self.server.url, "URL").replace(str(self.target), "TARGET")

    def beside(self, suffix: str) -> Path:
        return self.target.with_name(self.target.name + suffix)

    def left(self) -> list[str]:
        return sorted(path.name for path in self.target.parent.iterdir())


@pytest.fixture
def fetcher(server: Scripted, client: httpx.Client, tmp_path: Path) -> Fetcher:
    return Fetcher(server, client, tmp_path / "weights.tgz")


def whole(body: bytes = BODY, **headers: str) -> Answer:
    return lambda handler: handler.answer(200, body, **{"ETag": ETAG, **headers})


def cut(count: int, body: bytes = BODY, **headers: str) -> Answer:
    """A server that says how long the file is, and goes away after some of it."""
    said = {"Content-Length": str(len(body)), "ETag": ETAG, **headers}
    return lambda handler: handler.answer(200, body[:count], **said)


def rest(start: int, body: bytes = BODY, **headers: str) -> Answer:
    span = f"bytes {start}-{len(body) - 1}/{len(body)}"
    return lambda handler: handler.answer(
        206, body[start:], **{"Content_Range": span, "ETag": ETAG, **headers}
    )


def status(code: int, body: bytes = b"no", **headers: str) -> Answer:
    return lambda handler: handler.answer(code, body, **headers)


def redirect(location: str) -> Answer:
    return lambda handler: handler.answer(302, Location=location)


def test_whole_file_is_kept_with_its_digest(fetcher: Fetcher) -> None:
    assert fetcher(whole()) == SHA256
    assert fetcher.target.read_bytes() == BODY
    assert fetcher.beside(".sha256").read_text() == f"{SHA256}  weights.tgz\n"
    assert fetcher.left() == ["weights.tgz", "weights.tgz.sha256"]
    assert fetcher.said[0] == (0, len(BODY))
    assert fetcher.said[-1] == (len(BODY), len(BODY))
    assert fetcher.server.seen[0]["Accept-Encoding"] == "identity"
    assert "Range" not in fetcher.server.seen[0]


def test_target_that_matches_is_not_fetched_again(fetcher: Fetcher) -> None:
    fetcher(whole())
    fetcher.said.clear()
    assert fetcher() == SHA256
    assert fetcher(sha256=SHA256.upper()) == SHA256
    assert fetcher.said == [(len(BODY), len(BODY))] * 2


def test_pinned_target_needs_no_record(fetcher: Fetcher) -> None:
    fetcher.target.write_bytes(BODY)
    assert fetcher(sha256=SHA256) == SHA256
    assert fetcher.left() == ["weights.tgz"]


def test_own_client_and_directory_are_made(
    server: Scripted, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "ALL_PROXY", "http_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    server.script.append(whole())
    target = tmp_path / "a" / "b" / "weights.tgz"
    fetch(server.url, target, sha256=None, progress=lambda *_: None)
    assert target.read_bytes() == BODY


def test_cut_off_download_is_gone_on_with(fetcher: Fetcher) -> None:
    assert fetcher(cut(1000), rest(1000)) == SHA256
    assert fetcher.server.seen[1]["Range"] == "bytes=1000-"
    assert fetcher.server.seen[1]["If-Range"] == ETAG
    assert fetcher.slept == [1.0]
    assert (1000, len(BODY)) in fetcher.said


def test_next_fetch_goes_on_where_the_last_one_ended(fetcher: Fetcher) -> None:
    message = fetcher.refused(cut(1000), attempts=1)
    assert message == (
        "URL was not downloaded in 1 attempts; the last one failed: peer closed connection "
        f"without sending complete message body (received 1000 bytes, expected {len(BODY)}). 1000 "
        "bytes are kept in TARGET.part: fetch again to resume."
    )
    assert fetcher.left() == ["weights.tgz.part", "weights.tgz.part.json"]
    assert json.loads(fetcher.beside(".part.json").read_text()) == {
        "url": fetcher.server.url,
        "validator": ETAG,
        "total": len(BODY),
    }
    assert fetcher(rest(1000)) == SHA256
    assert fetcher.left() == ["weights.tgz", "weights.tgz.sha256"]


def test_shorter_range_than_asked_for_is_gone_on_with(fetcher: Fetcher) -> None:
    span = f"bytes 1000-2999/{len(BODY)}"
    some = status(206, BODY[1000:3000], Content_Range=span)
    assert fetcher(cut(1000), some, rest(3000)) == SHA256


def test_date_is_a_validator_if_it_is_older_than_the_answer(fetcher: Fetcher) -> None:
    dates = {"ETag": 'W/"weak"', "Last_Modified": EARLY}
    assert fetcher(cut(1000, **dates, Date=LATE), rest(1000, **dates)) == SHA256
    assert fetcher.server.seen[1]["If-Range"] == EARLY


@pytest.mark.parametrize(
    "headers",
    [
        {"ETag": ""},
        {"ETag": 'W/"weak"'},
        {"ETag": "", "Last_Modified": EARLY, "Date": EARLY},
        {"ETag": "", "Last_Modified": EARLY},
        {"ETag": "", "Last_Modified": "yesterday", "Date": LATE},
    ],
)
def test_without_a_validator_it_starts_anew(fetcher: Fetcher, headers: Headers) -> None:
    assert fetcher(cut(1000, **headers), whole()) == SHA256
    assert "Range" not in fetcher.server.seen[1]


def test_without_a_validator_nothing_is_kept(fetcher: Fetcher) -> None:
    message = fetcher.refused(cut(1000, ETag=""), attempts=1)
    assert message.endswith("Fetch again to start over.")
    assert fetcher.left() == []


def test_part_of_another_url_is_not_gone_on_with(fetcher: Fetcher) -> None:
    fetcher.refused(cut(1000), attempts=1)
    note = json.loads(fetcher.beside(".part.json").read_text())
    fetcher.beside(".part.json").write_text(json.dumps({**note, "url": "https://other/"}))
    assert fetcher(whole()) == SHA256
    assert "Range" not in fetcher.server.seen[1]


@pytest.mark.parametrize(
    "note",
    [
        "",
        "{",
        "[]",
        "{}",
        '{"url": "URL", "validator": "x", "total": 9, "more": 1}',
        '{"url": "URL", "validator": 1, "total": 9}',
        '{"url": "URL", "validator": "x", "total": "9"}',
    ],
)
def test_unreadable_note_starts_anew(fetcher: Fetcher, note: str) -> None:
    fetcher.beside(".part").write_bytes(b"rubbish")
    fetcher.beside(".part.json").write_text(note.replace("URL", fetcher.server.url))
    assert fetcher(whole()) == SHA256
    assert "Range" not in fetcher.server.seen[0]


def test_server_without_ranges_starts_anew(fetcher: Fetcher) -> None:
    assert fetcher(cut(1000), whole()) == SHA256
    assert fetcher.target.read_bytes() == BODY
    assert fetcher.said.count((0, len(BODY))) == 2


def test_file_that_changed_between_starts_anew(fetcher: Fetcher) -> None:
    digest = fetcher(cut(1000), whole(OTHER, ETag='"two"'))
    assert digest == hashlib.sha256(OTHER).hexdigest()
    assert fetcher.target.read_bytes() == OTHER


def test_rest_of_another_version_is_not_joined(fetcher: Fetcher) -> None:
    two = {"ETag": '"two"'}
    fetcher(cut(1000), rest(1000, OTHER, **two), whole(OTHER, **two))
    assert fetcher.target.read_bytes() == OTHER
    assert "Range" not in fetcher.server.seen[2]


@pytest.mark.parametrize(
    "said",
    [
        f"bytes 999-{len(BODY) - 1}/{len(BODY)}",
        f"bytes 1000-{len(BODY)}/{len(BODY)}",
        f"bytes 1000-{len(BODY)}/{len(BODY) + 1}",
        "bytes 1000-999/10240",
        "",
    ],
)
def test_wrong_range_is_refused(fetcher: Fetcher, said: str) -> None:
    message = fetcher.refused(cut(1000), rest(1000, Content_Range=said))
    assert message == (
        f"URL answers a request for bytes from 1000 with Content-Range {said!r}; expected "
        "'bytes 1000-10239/10240'. Delete TARGET.part to start over."
    )
    assert fetcher.beside(".part").read_bytes() == BODY[:1000]


def test_part_that_is_the_whole_file_is_finished(fetcher: Fetcher) -> None:
    fetcher.refused(cut(1000), attempts=1)
    fetcher.beside(".part").write_bytes(BODY)
    assert fetcher(status(416, Content_Range=f"bytes */{len(BODY)}")) == SHA256
    assert fetcher.target.read_bytes() == BODY


def test_part_that_is_too_long_starts_anew(fetcher: Fetcher) -> None:
    fetcher.refused(cut(1000), attempts=1)
    fetcher.beside(".part").write_bytes(BODY * 2)
    assert fetcher(status(416, Content_Range=f"bytes */{len(BODY)}"), whole()) == SHA256


def test_length_that_never_comes_is_given_up(fetcher: Fetcher) -> None:
    lie = {"Content-Length": str(len(BODY) + 1)}
    total = len(BODY) + 1
    span = {"Content_Range": f"bytes {len(BODY)}-{len(BODY)}/{total}", "Content-Length": "1"}
    nothing = status(206, b"", **span)
    message = fetcher.refused(whole(**lie), nothing, nothing, attempts=3)
    assert message.endswith(f"{len(BODY)} bytes are kept in TARGET.part: fetch again to resume.")
    assert fetcher.slept == [1.0, 2.0]
    assert not fetcher.target.exists()


def test_busy_server_is_asked_again(fetcher: Fetcher) -> None:
    assert fetcher(status(503), status(429), whole()) == SHA256
    assert fetcher.slept == [1.0, 2.0]


def test_busy_server_is_not_asked_for_ever(fetcher: Fetcher) -> None:
    message = fetcher.refused(*[status(503)] * 7, attempts=7)
    assert message == (
        "URL was not downloaded in 7 attempts; the last one failed: the server answered 503 "
        "Service Unavailable. Fetch again to start over."
    )
    assert fetcher.slept == [1.0, 2.0, 4.0, 8.0, 16.0, 30.0]
    assert fetcher.left() == []


def test_nobody_listens(client: httpx.Client, tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/weights.tgz"
        with pytest.raises(WeightsError) as caught:
            fetch(
                url,
                tmp_path / "weights.tgz",
                sha256=None,
                progress=lambda *_: None,
                client=client,
                attempts=2,
                sleep=lambda _: None,
            )
    assert str(caught.value) == (
        f"{url} was not downloaded in 2 attempts; the last one failed: [Errno 111] Connection "
        "refused. Fetch again to start over."
    )


@pytest.mark.parametrize(("code", "name"), [(404, "Not Found"), (403, "Forbidden")])
def test_refusal_is_final(fetcher: Fetcher, code: int, name: str) -> None:
    assert fetcher.refused(status(code)) == f"URL answered {code} {name} where a file was expected."
    assert fetcher.left() == []


def test_refusal_keeps_what_came_before(fetcher: Fetcher) -> None:
    fetcher.refused(cut(1000), status(404))
    assert fetcher(rest(1000)) == SHA256


def test_part_that_nobody_asked_for_is_refused(fetcher: Fetcher) -> None:
    message = fetcher.refused(rest(0))
    assert message == "URL answered 206 Partial Content where a file was expected."


def test_redirects_on_the_same_host_are_followed(fetcher: Fetcher) -> None:
    assert fetcher(redirect("/elsewhere"), redirect(fetcher.server.url), whole()) == SHA256


def test_refusal_names_where_it_was_redirected(fetcher: Fetcher) -> None:
    message = fetcher.refused(redirect("/elsewhere"), status(404))
    elsewhere = fetcher.server.url.replace("weights.tgz", "elsewhere")
    assert message == (
        f"URL, redirected to {elsewhere}, answered 404 Not Found where a file was expected."
    )


@pytest.mark.parametrize("location", ["http://example.invalid/w", "ftp://127.0.0.1/w", "file:/w"])
def test_redirect_to_another_host_or_scheme_is_refused(fetcher: Fetcher, location: str) -> None:
    assert fetcher.refused(redirect(location)) == (
        "Weights are fetched over https, or from this machine. URL redirects to " + location + "."
    )


def test_redirects_end(fetcher: Fetcher) -> None:
    assert fetcher.refused(*[redirect("/round")] * 6).startswith("More than 5 redirects, the last")


@pytest.mark.parametrize(
    "url",
    [
        "http://example.invalid/w",
        "http://127.0.0.1.example/w",
        "ftp://localhost/w",
        "w",
        "https:///w",
    ],
)
def test_only_https_is_fetched(tmp_path: Path, url: str) -> None:
    with pytest.raises(WeightsError) as caught:
        fetch(url, tmp_path / "w", sha256=None, progress=lambda *_: None)
    assert str(caught.value) == (
        f"Weights are fetched over https, or from this machine. Received {url!r}."
    )


def test_what_is_no_url_is_refused(tmp_path: Path) -> None:
    with pytest.raises(WeightsError) as caught:
        fetch("https://host:port/w", tmp_path / "w", sha256=None, progress=lambda *_: None)
    assert str(caught.value) == "'https://host:port/w' is not a URL (Invalid port: 'port')."


def test_size_over_the_limit_is_refused_before_the_body(fetcher: Fetcher) -> None:
    message = fetcher.refused(whole(), max_bytes=len(BODY) - 1)
    assert message == f"URL has {len(BODY)} bytes; the limit is {len(BODY) - 1}."
    assert fetcher.said == []
    assert fetcher.left() == []


def chunked(*chunks: bytes, end: bool = True) -> Answer:
    body = b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks)
    headers = {"Content-Length": "", "Transfer_Encoding": "chunked", "ETag": ETAG}

    def answer(handler: Handler) -> None:
        handler.protocol_version = "HTTP/1.1"
        handler.close_connection = True
        handler.answer(200, body + (b"0\r\n\r\n" if end else b""), **headers)

    return answer


def test_file_of_unsaid_size_is_fetched(fetcher: Fetcher) -> None:
    assert fetcher(chunked(BODY[:5000], BODY[5000:])) == SHA256
    assert fetcher.said[-1] == (len(BODY), None)


def test_file_of_unsaid_size_is_bounded(fetcher: Fetcher) -> None:
    message = fetcher.refused(chunked(BODY, end=False), max_bytes=9999)
    assert message == "URL sends more than 9999 bytes, the limit."
    assert fetcher.left() == []


def test_file_of_unsaid_size_is_gone_on_with(fetcher: Fetcher) -> None:
    assert fetcher(chunked(BODY[:5000], end=False), rest(5000)) == SHA256


def test_body_without_an_end_is_refused(fetcher: Fetcher) -> None:
    message = fetcher.refused(whole(**{"Content-Length": ""}))
    assert message == "URL states neither a length nor chunks, so its end is unknown."


def test_encoded_body_is_refused(fetcher: Fetcher) -> None:
    message = fetcher.refused(whole(Content_Encoding="gzip"))
    assert message == "URL is sent in the encoding gzip, which was not requested."


def test_other_digest_than_pinned_is_refused(fetcher: Fetcher) -> None:
    message = fetcher.refused(whole(OTHER), sha256=SHA256)
    other = hashlib.sha256(OTHER).hexdigest()
    assert message == f"URL has SHA-256 {other}; expected {SHA256}. The download was discarded."
    assert fetcher.left() == []


def test_other_digest_than_recorded_is_refused(fetcher: Fetcher) -> None:
    fetcher(whole())
    fetcher.target.unlink()
    message = fetcher.refused(whole(OTHER, ETag='"two"'))
    assert re.fullmatch(rf"URL has SHA-256 \w+; expected {SHA256}\. .*", message)
    assert fetcher.left() == ["weights.tgz.sha256"]
    assert fetcher(whole()) == SHA256


def test_good_file_outlives_another_pin(fetcher: Fetcher) -> None:
    fetcher(whole())
    assert fetcher.refused(sha256="0" * 64) == (
        f"TARGET has SHA-256 {SHA256}; expected {'0' * 64}. Delete it to fetch it again."
    )
    assert fetcher.target.read_bytes() == BODY
    assert fetcher() == SHA256


def test_damaged_file_is_told_not_replaced(fetcher: Fetcher) -> None:
    fetcher(whole())
    fetcher.target.write_bytes(OTHER)
    assert fetcher.refused().endswith(f"expected {SHA256}. Delete it to fetch it again.")
    assert fetcher.target.read_bytes() == OTHER


def test_file_that_nothing_vouches_for_is_left_alone(fetcher: Fetcher) -> None:
    fetcher.target.write_bytes(OTHER)
    assert fetcher.refused() == (
        f"TARGET exists, with SHA-256 {hashlib.sha256(OTHER).hexdigest()}, and no digest is "
        "recorded for it: give that one as the SHA-256 to keep the file, or delete the file to "
        "fetch it again."
    )
    assert fetcher.target.read_bytes() == OTHER


@pytest.mark.parametrize("pin", ["", "abc", "g" * 64, f"sha256:{SHA256}"])
def test_pin_that_is_no_digest_is_refused(fetcher: Fetcher, pin: str) -> None:
    assert fetcher.refused(sha256=pin) == (
        f"A SHA-256 has 64 hexadecimal digits; received {pin!r}."
    )


def test_record_that_is_no_digest_is_refused(fetcher: Fetcher) -> None:
    fetcher.beside(".sha256").write_text("")
    assert fetcher.refused() == (
        "TARGET.sha256 does not begin with a SHA-256: delete it to accept any next download."
    )


def test_two_at_a_time_do_not_mix(fetcher: Fetcher) -> None:
    def meanwhile(handler: Handler) -> None:
        messages.append(fetcher.refused())
        handler.answer(200, BODY, ETag=ETAG)

    messages: list[str] = []
    assert fetcher(meanwhile) == SHA256
    assert messages == ["TARGET.part is being written by another process."]


def test_disk_that_refuses_is_an_error_of_ours(fetcher: Fetcher, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    fetcher.target = tmp_path / "file" / "weights.tgz"
    assert fetcher.refused() == f"{tmp_path / 'file'}: File exists."


def test_interrupted_fetch_is_gone_on_with(fetcher: Fetcher) -> None:
    def interrupt(done: int, total: int | None) -> None:
        if done:
            raise KeyboardInterrupt

    fetcher.server.script.append(cut(1000))
    with pytest.raises(KeyboardInterrupt):
        fetch(
            fetcher.server.url,
            fetcher.target,
            sha256=None,
            progress=interrupt,
            client=fetcher.client,
        )
    count = fetcher.beside(".part").stat().st_size
    assert fetcher(rest(count)) == SHA256
