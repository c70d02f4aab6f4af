"""The page's types of requests and answers are those of the routes."""

from scripts.write_page_types import TYPES, page_types


def test_the_types_are_those_of_the_routes() -> None:
    written = TYPES.read_text(encoding="utf-8")
    assert written == page_types(), "run `make types`"
