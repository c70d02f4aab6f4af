"""Picks the form of an answer by `?format=`, `Accept` and `Accept-Encoding`; checks the query."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

from fastapi import Query
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from app.errors import ServiceError
from app.http.problems import query_error
from model_zoo import unknown_name

Choice = TypeVar("Choice", bound=str)


async def refuse_unknown_parameters(request: Request) -> None:
    """Refuse a query parameter that the route does not have; mistyped, it would do nothing."""
    own = request.scope["route"].dependant
    known = [field.alias for each in (own, *own.dependencies) for field in each.query_params]
    for name in request.query_params:
        if name not in known:
            rule = f"There is no query parameter {name!r} here."
            problem = unknown_name("", rule, name, known)
            received = request.query_params[name]
            raise query_error(name, problem.message, received, problem.suggestion)


def one_of(name: str, value: str, valid: Sequence[Choice]) -> Choice:
    """Return the value of a query parameter, which must be one of the valid ones."""
    for choice in valid:
        if choice == value:
            return choice
    rule = f"Query parameter {name} has no value {value!r}."
    problem = unknown_name("", rule, value, valid)
    raise query_error(name, problem.message, value, problem.suggestion)


REPORT_FORMATS: Mapping[str, str] = {
    "json": "application/json",
    "text": "text/plain; charset=utf-8",
    "csv": "text/csv; charset=utf-8",
}
TEXT_FORMATS: Mapping[str, str] = {name: REPORT_FORMATS[name] for name in ("json", "text")}
Writers = Mapping[str, Callable[[], Any]]


def format_query(formats: Iterable[str]) -> Any:
    """Return the query parameter that picks one of the formats."""
    return Query(
        description="The format; it overrides Accept.", json_schema_extra={"enum": list(formats)}
    )


def written(format_name: str, writers: Writers) -> Response:
    """Return a report in a format; JSON is written from the document that its writer returns."""
    content = writers[format_name]()
    if format_name == "json":
        return JSONResponse(content)
    return Response(content, media_type=REPORT_FORMATS[format_name])


def chosen_format(request: Request, requested: str | None, formats: Mapping[Choice, str]) -> Choice:
    """Return the name of the format of an answer; `formats` maps names to media types.

    `?format=` decides, else `Accept`; where both are silent, the first format.
    Raises: ServiceError if `?format=` is unknown (422) or `Accept` admits none of them (406).
    """
    if requested is not None:
        return one_of("format", requested, list(formats))
    ranges = _weights(", ".join(request.headers.getlist("accept")) or "*/*")
    best, best_weight = None, 0.0
    for name, media_type in formats.items():
        weight = _media_type_weight(media_type.partition(";")[0], ranges)
        if weight > best_weight:
            best, best_weight = name, weight
    if best is None:
        offered = ", ".join(media_type.partition(";")[0] for media_type in formats.values())
        raise ServiceError("not-acceptable", f"Accept admits none of: {offered}.")
    return best


def chosen_encoding(accept: str, encodings: Sequence[str]) -> str | None:
    """Return the encoding that Accept-Encoding weighs highest, or None for no encoding.

    The first listed wins among equals; what is not listed is not chosen.

    >>> both = ("gzip", "deflate")
    >>> [chosen_encoding(accept, both) for accept in ("br, deflate;q=0.5, gzip", "br", "")]
    ['gzip', None, None]
    """
    best, best_weight = "identity", 0.0
    for name, weight in _weights(accept):
        if name in (*encodings, "identity") and weight > best_weight:
            best, best_weight = name, weight
    return None if best == "identity" else best


def _weights(field: str) -> list[tuple[str, float]]:
    """Return the values of an Accept field with their weights (RFC 9110, 12.4.2)."""
    return [_weight(item) for item in field.split(",") if item.strip()]


def _weight(item: str) -> tuple[str, float]:
    value, *parameters = (piece.strip().lower() for piece in item.split(";"))
    for parameter in parameters:
        name, _, text = parameter.partition("=")
        if name.strip() == "q":
            try:
                return value, float(text)
            except ValueError:
                return value, 0.0
    return value, 1.0


def _media_type_weight(media_type: str, ranges: Sequence[tuple[str, float]]) -> float:
    """Return the weight that the most specific matching range gives."""
    family = media_type.partition("/")[0] + "/*"
    for pattern in (media_type, family, "*/*"):
        matching = [weight for name, weight in ranges if name == pattern]
        if matching:
            return max(matching)
    return 0.0
