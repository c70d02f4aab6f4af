"""`model-zoo diff`: what differs between two specs."""

import argparse
import json
import sys

from model_zoo.cli.common import ScopeFiles, add_spec, spec_of
from model_zoo.errors import ZooError
from model_zoo.reports.diff import diff
from model_zoo.tracing import Trace, trace

_SAME, _DIFFERENT, _TROUBLE = 0, 1, 2


def add_diff(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `model-zoo diff` to its parser."""
    parser.description = (
        "Show what differs from A to B: specs, totals, layers, edges, and who set each argument. "
        "The status is 0 if both are one build, 1 if they differ, 2 if there is trouble."
    )
    add_spec(parser, "a", "b")
    parser.add_argument("--argument", help="only settings of this argument; * is any")
    parser.add_argument("--same", action="store_true", help="also list what is the same")
    parser.add_argument("--format", choices=("text", "json", "csv", "dot"), default="text")
    parser.set_defaults(run=_diff, trouble=_TROUBLE)


def _diff(options: argparse.Namespace) -> int:
    if options.a == options.b == "-":
        raise ZooError("Only one of A and B can be read from standard input.")
    scopes = ScopeFiles(options.scope)
    a, b = _traced(options.a, "A", scopes), _traced(options.b, "B", scopes)
    scopes.warn()
    result = diff(a, b, argument=options.argument, same=options.same)
    status = _SAME if result.is_empty else _DIFFERENT
    options.broken_pipe = status  # whoever stops reading early has the answer too
    if options.format == "json":
        print(json.dumps(result.to_dict(), indent=2))
    else:
        writers = {"text": result.to_text, "csv": result.to_csv, "dot": result.to_dot}
        print(writers[options.format](), end="")
    return status


def _traced(spec: str, side: str, scopes: ScopeFiles) -> Trace:
    """Return the trace of a side's spec, with its warnings on standard error.

    Raises: ZooError, with the side before its message.
    """
    try:
        result = trace(spec_of(spec, scopes))
    except ZooError as error:
        raise ZooError(f"{side}: {error}") from error
    for warning in result.warnings:
        print(f"warning: {side}: {warning}", file=sys.stderr)
    return result
