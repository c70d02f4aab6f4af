"""What pydantic finds wrong with a request, in this package's words."""

from collections.abc import Iterable, Iterator

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from model_zoo.errors import Problem, describe_each, json_pointer, unknown_name
from model_zoo.level_format import LEVEL_MODELS, ScopeLevel
from model_zoo.plain_values import spell
from model_zoo.saved_scopes import IncludeLevel, SavedLevel
from model_zoo.weight_sources import FEW_STARS, MANY_UNKNOWN, Part, source_models, too_many_stars

# What a value should be or have, by pydantic's type of error, filled in with the error's `ctx`.
RULES = {
    "bool_type": "be a valid boolean",
    "dict_type": "be an object",
    "greater_than_equal": "be greater than or equal to {ge}",
    "int_type": "be a valid integer",
    "invalid-json-value": "be a JSON value",
    "less_than_equal": "be less than or equal to {le}",
    "list_type": "be a list",
    "literal_error": "be {expected}",
    "model_type": "be an object",
    "number_type": "be a number",
    "recursion_loop": "not contain itself",
    "string_pattern_mismatch": "match pattern '{pattern}'",
    "string_too_long": "have at most {max_length} character{s}",
    "string_too_short": "have at least {min_length} character{s}",
    "string_type": "be a valid string",
    "string_unicode": "be a string of valid Unicode",
    "too_long": "have at most {max_length} item{s}",
    "too_short": "have at least {min_length} item{s}",
}


def format_problems(error: ValidationError, root: type[Part]) -> list[Problem]:
    """Return pydantic's errors as problems; `root` is the part of the format that was read."""
    each = _each(error.errors(include_url=False))
    return list(describe_each(each, lambda one: _format_problem(_single(*one), root)))


def _each(details: Iterable[ErrorDetails]) -> Iterator[tuple[ErrorDetails, str]]:
    """Yield errors; one that stands for many, once for each of its fields."""
    for detail in details:
        for name in detail["ctx"]["names"] if detail["type"] == MANY_UNKNOWN else ("",):
            yield detail, name


def _single(detail: ErrorDetails, name: str) -> ErrorDetails:
    if detail["type"] != MANY_UNKNOWN:
        return detail
    return {**detail, "type": "extra_forbidden", "loc": (*detail["loc"], name)}


def _format_problem(detail: ErrorDetails, root: type[Part]) -> Problem:
    place, owner = _place(detail["loc"], root)
    pointer = json_pointer(*place)
    received = detail.get("input")
    match detail["type"]:
        case "extra_forbidden" if owner in (IncludeLevel, SavedLevel):
            (key,) = owner.model_fields
            rule = f"A level with {key!r} takes no other key: {place[-1]!r} is of another level."
            return Problem(rule, pointer, place[-1])
        case "string_pattern_mismatch" if owner in (IncludeLevel, SavedLevel):
            rule = (
                f"{place[-1]} must be the name of a saved scope, or a name and the digest of a "
                f"version: name@sha256: and at least 8 digits; received {spell(received)}."
            )
            return Problem(rule, pointer, received)
        case "string_pattern_mismatch" if detail["ctx"]["pattern"] == FEW_STARS:
            return Problem(too_many_stars(received), pointer, received)
        case "extra_forbidden":
            name = str(place[-1])
            valid = [field.alias or key for key, field in owner.model_fields.items()]
            valid += ["include", "saved"] if owner is ScopeLevel else []
            return unknown_name(pointer, f"There is no field {name!r}.", name, valid)
        case "invalid_key":
            rule = f"A name of a field must be a string; received {spell(received)}."
            return Problem(rule, pointer, received)
        case "missing":
            return Problem(f"The field {place[-1]!r} is required.", pointer)
        case "union_tag_invalid":
            name = str(received["source"]) if isinstance(received, dict) else ""
            rule = f"There is no source {name!r}."
            return unknown_name(pointer + "/source", rule, name, source_models())
        case "union_tag_not_found":
            rule = "This should be an object with a source, or a list of them"
            return Problem(f"{rule}; received {spell(received)}.", pointer, received)
        case kind:
            context = detail.get("ctx", {})
            plural = "" if context.get("min_length") == 1 else "s"
            rule = RULES.get(kind, f"be valid ({kind})").format(**context, s=plural)
            return Problem(f"This should {rule}; received {spell(received)}.", pointer, received)


def _place(
    loc: tuple[str | int, ...], root: type[Part]
) -> tuple[tuple[str | int, ...], type[BaseModel]]:
    """Return the place of an error in the request, and the part of the format that it is in.

    pydantic puts the names of a union's members among the keys: `weights` has two such unions, and
    each level is of one.
    """
    if loc[0] == "weights" and len(loc) > 1:
        ahead = [part for part in loc[:3] if part == "weights" or isinstance(part, int)]
        tag, *rest = loc[len(ahead) + 1 :] or ("",)
        return (*ahead, *rest), source_models().get(str(tag), root)
    if loc[0] in ("scopes", "levels") and len(loc) > 2:
        return (*loc[:2], *loc[3:]), LEVEL_MODELS[str(loc[2])]
    return loc, root
