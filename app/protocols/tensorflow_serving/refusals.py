"""Refusals of what a request says."""

from collections.abc import Iterable

from model_zoo import InputError, Problem, unknown_name


def refused(
    pointer: str, message: str, received: object = None, valid: Iterable[str] = ()
) -> InputError:
    """Return the refusal of a value; the nearest valid one is suggested beside the message."""
    nearest = unknown_name("", "", str(received), valid) if valid else None
    suggestion = nearest.suggestion if nearest else None
    return InputError(Problem(message, pointer, received, suggestion))
