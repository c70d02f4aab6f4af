"""Chooses the format and the encoding of a response, and checks query parameters."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar, get_origin

from fastapi import Query
from starlette.requests import Request
from starlette.responses import Response

from app.errors import ServiceError
from app.http.json_answer import JsonAnswer
from app.http.problems import query_error
from model_zoo import not_accepted, unknown_name

Choice = TypeVar("Choice", bound=str)


async def refuse_unusable_parameters(request: Request) -> None:
    """Reject a query parameter that would silently do nothing: a misspelled or a repeated one."""
    own = request.scope["route"].dependant
    fields = [field for each in (own, *own.dependencies) for field in each.query_params]
    known = [field.alias for field in fields]
    repeatable = [
        each.alias for each in fields if get_origin(each.field_info.annotation) is Sequence
    ]
    for name in request.query_params:
        if name not in known:
            rule = f"There is no query parameter {name!r} here."
            problem = unknown_name("", rule, name, known)
            received = request.query_params[name]
            raise query_error(name, problem.message, received, problem.suggestion)
        values = request.query_params.getlist(name)
        if len(values) > 1 and name not in repeatable:
            message = f"Query parameter {name} takes one value; received {len(values)}."
            raise query_error(name, message, values, None)


def one_of(name: str, value: str, valid: Sequence[Choice]) -> Choice:
    """Return the value of a query parameter.

    Raises: OptionError (invalid-query) if it is not one of the valid values.
    """
    for choice in valid:
        if choice == value:
            return choice
    raise not_accepted(name, value, valid)


def some_of(name: str, values: Iterable[str], valid: Sequence[Choice]) -> tuple[Choice, ...]:
    """Return the values of a query parameter that may be repeated.

    Raises: OptionError (invalid-query) if one is not valid, ServiceError if it is there twice.
    """
    choices: list[Choice] = []
    for value in values:
        choice = one_of(name, value, valid)
        if choice in choices:
            message = f"Query parameter {name} has {value!r} twice."
            raise query_error(name, message, value, None)
        choices.append(choice)
    return tuple(choices)


REPORT_FORMATS: Mapping[str, str] = {
    "json": "application/json",
    "text": "text/plain; charset=utf-8",
    "csv": "text/csv; charset=utf-8",
}
DIFF_FORMATS: Mapping[str, str] = {**REPORT_FORMATS, "dot": "text/vnd.graphviz; charset=utf-8"}
GRAPH_FORMATS: Mapping[str, str] = {
    "json": "application/json",
    "dot": DIFF_FORMATS["dot"],
    "model-explorer": "application/x-model-explorer+json",
    "node-data": "application/x-model-explorer-node-data+json",
}
TEXT_FORMATS: Mapping[str, str] = {name: REPORT_FORMATS[name] for name in ("json", "text")}
ROW_FORMATS: Mapping[str, str] = {
    "json": "application/json",
    "ndjson": "application/x-ndjson",
    "csv": REPORT_FORMATS["csv"],
    "parquet": "application/vnd.apache.parquet",
}
Writers = Mapping[str, Callable[[], Any]]


def format_query(formats: Iterable[str]) -> Any:
    """Return the query parameter that selects one of the formats."""
    return Query(
        description="Format of the answer; overrides Accept.",
        json_schema_extra={"enum": list(formats)},
    )


def written(format_name: str, writers: Writers) -> Response:
    """Return a report in a format; the writers of JSON return a document, the others text."""
    content = writers[format_name]()
    media_type = {**DIFF_FORMATS, **GRAPH_FORMATS}[format_name]
    if media_type.endswith("json"):
        return JsonAnswer(content, media_type=media_type)
    return Response(content, media_type=media_type)


def chosen_format(request: Request, requested: str | None, formats: Mapping[Choice, str]) -> Choice:
    """Return the name of the format to answer in; `formats` maps names to media types.

    `?format=` decides, then `Accept`; without either it is the first format.
    Raises: ServiceError if `?format=` is unknown (422) or `Accept` allows none of them (406).
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
        raise ServiceError("not-acceptable", f"Accept allows none of: {offered}.")
    return best


def chosen_encoding(accept: str, encodings: Sequence[str]) -> str | None:
    """Return the encoding that Accept-Encoding prefers, or None for no encoding.

    Among equals the first listed wins. An encoding that is not listed is never chosen.

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
    """Return the weight of the most specific range that matches."""
    family = media_type.partition("/")[0] + "/*"
    for pattern in (media_type, family, "*/*"):
        matching = [weight for name, weight in ranges if name == pattern]
        if matching:
            return max(matching)
    return 0.0
