"""Warnings in headers: their form, and their limit."""

from starlette.responses import Response

from app.http.warning_headers import MAX_BYTES, add_warnings


def headers(*warnings: str) -> list[str]:
    response = Response()
    add_warnings(response, warnings)
    return response.headers.getlist("warning")


def test_each_warning_is_a_header() -> None:
    assert headers() == []
    assert headers("It is gray.", "It is flat.") == ['299 - "It is gray."', '299 - "It is flat."']


def test_a_warning_cannot_end_its_string_or_its_line() -> None:
    assert headers('a "b" \\ c\r\nX: d é') == ['299 - "a \\"b\\" \\\\ c??X: d ?"']


def test_what_proxies_would_refuse_is_counted() -> None:
    warnings = ["x" * 600] * 5
    found = headers(*warnings)
    assert found == [f'299 - "{"x" * 600}"'] * 3 + ['299 - "2 more warnings are left out here."']
    assert sum(map(len, found)) < MAX_BYTES + 50
