"""Picks the form of an answer from `?format=` or `Accept`, and checks names in the query."""

from collections.abc import Mapping, Sequence

from starlette.requests import Request

from app.problems import ServiceError, query_error
from model_zoo import unknown_name


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


def one_of(name: str, value: str, valid: Sequence[str]) -> str:
    """Return the value of a query parameter, which must be one of the valid ones."""
    if value not in valid:
        rule = f"Query parameter {name} has no value {value!r}."
        problem = unknown_name("", rule, value, valid)
        raise query_error(name, problem.message, value, problem.suggestion)
    return value


def chosen_format(request: Request, wanted: str | None, formats: Mapping[str, str]) -> str:
    """Return the name of the format of an answer; `formats` maps names to media types.

    `?format=` decides, else `Accept`; where both are silent, the first format.
    Raises: ServiceError if `?format=` is unknown (422) or `Accept` admits none of them (406).
    """
    if wanted is not None:
        return one_of("format", wanted, list(formats))
    accept = ", ".join(request.headers.getlist("accept")) or "*/*"
    ranges = [_media_range(item) for item in accept.split(",") if item.strip()]
    best, best_quality = None, 0.0
    for name, media_type in formats.items():
        quality = _quality(media_type.partition(";")[0], ranges)
        if quality > best_quality:
            best, best_quality = name, quality
    if best is None:
        offered = ", ".join(media_type.partition(";")[0] for media_type in formats.values())
        raise ServiceError("not-acceptable", f"Accept admits none of: {offered}.")
    return best


def _media_range(item: str) -> tuple[str, float]:
    media_type, *parameters = (piece.strip().lower() for piece in item.split(";"))
    quality = 1.0
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip() == "q":
            try:
                quality = float(value)
            except ValueError:
                quality = 0.0
    return media_type, quality


def _quality(media_type: str, ranges: Sequence[tuple[str, float]]) -> float:
    """Return the quality that the most specific matching range gives."""
    family = media_type.partition("/")[0] + "/*"
    for pattern in (media_type, family, "*/*"):
        matching = [quality for name, quality in ranges if name == pattern]
        if matching:
            return max(matching)
    return 0.0
