"""`model-zoo sweep`: many builds that differ along axes."""

import argparse
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from model_zoo.cli.axis_text import AxisText, read_axis
from model_zoo.cli.common import ScopeFiles, add_spec, read_document
from model_zoo.cli.sweep_output import FORMATS, opened, write_plan
from model_zoo.cli.sweep_run import SweepRun
from model_zoo.errors import SpecError, ZooError, json_pointer
from model_zoo.strict_json import read_json
from model_zoo.sweeps.arrangement import arrange
from model_zoo.sweeps.figures import MEASURED
from model_zoo.sweeps.front import read_objectives
from model_zoo.sweeps.sweep import Sweep, sweep

_TROUBLE = 2
_MAX_ROWS = 10_000

_DESCRIPTION = """\
Trace many builds that differ from SPEC along axes, and write a row for each.

An axis is PLACE=VALUES: a place in the spec, as /params/num_classes or params.num_classes, and what
stands there, in Hydra's grammar: 2,3 or choice(2,3), range(2,8,2), glob(mobilenet_*) at
/architecture, sort(...), shuffle(...), and with --random also interval(0,1), tag(log,interval(...))
and int(interval(...)). NAME=zip(PLACE=[a,b],PLACE=[c,d]) varies several places together. Quote an
axis for the shell. Axes stand before the options; the last one varies fastest.

The status is 0; 1 if every row was refused, or --fail-fast ended the sweep; 2 if there is trouble;
130 if it was interrupted, after the rows that were traced are written.
"""


def add_sweep(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `model-zoo sweep` to its parser."""
    parser.description = _DESCRIPTION
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    add_spec(parser, nargs="?")
    parser.add_argument("axes", metavar="AXIS", nargs="*", help="PLACE=VALUES, or NAME=zip(...)")
    parser.add_argument(
        "--document",
        metavar="FILE",
        help="a sweep as JSON, as POST /v1/sweeps takes it, in place of SPEC and axes; or -",
    )
    parser.add_argument(
        "--zip",
        action="append",
        nargs="+",
        default=[],
        metavar=("NAME", "AXIS"),
        help="axes that vary together, under a name; may be repeated",
    )
    parser.add_argument(
        "--where",
        action="append",
        default=[],
        metavar="CONDITION",
        help="keep rows whose totals meet it, as 'parameters < 5e6'; may be repeated",
    )
    parser.add_argument(
        "--predict-gain",
        action="store_true",
        help="add the gain of the initialized network, predicted from its trace",
    )
    parser.add_argument("--random", type=int, metavar="N", help="draw N rows from the axes")
    parser.add_argument("--seed", type=int, metavar="N", help="decides what is drawn or shuffled")
    parser.add_argument(
        "--run-cap",
        type=int,
        metavar="N",
        help=f"refuse a sweep of more rows ({_MAX_ROWS:,}); none is cut",
    )
    parser.add_argument(
        "--pareto",
        metavar="TOTALS",
        help="mark the rows that no other beats, as parameters:minimize,multiply_adds:minimize",
    )
    parser.add_argument(
        "--only-front", action="store_true", help="with --pareto, leave out what others beat"
    )
    parser.add_argument(
        "--sort", metavar="COLUMN", help="a total or a place; --sort=-COLUMN for the largest first"
    )
    parser.add_argument("--format", choices=FORMATS, default="text")
    parser.add_argument("--output", type=Path, metavar="FILE", help="write rows there")
    parser.add_argument("--dry-run", action="store_true", help="list the rows, and trace none")
    parser.add_argument("--fail-fast", action="store_true", help="stop at the first refused row")
    parser.add_argument(
        "--jobs", type=int, metavar="N", help="processes that trace; as many as processors"
    )
    parser.set_defaults(run=_sweep, trouble=_TROUBLE)


def _sweep(options: argparse.Namespace) -> int:
    objectives = read_objectives("--pareto", options.pareto) if options.pareto else ()
    _check(options)
    scopes = ScopeFiles(options.scope)
    rows = _read(options, scopes)
    scopes.warn()
    arrange([], rows.places, sort=options.sort)  # refuses an unknown column before any row
    print(f"{rows.rows_in_words} {'row' if rows.rows == 1 else 'rows'}", file=sys.stderr)
    with opened(options.output, options.format) as file:
        if options.dry_run:
            write_plan(rows, options.format, file)
            return 0
        return SweepRun(options, rows, objectives).write(file)


def _check(options: argparse.Namespace) -> None:
    """Raises: ZooError for options that do not go together."""
    for name in ("jobs", "random", "run_cap"):
        value = getattr(options, name)
        if value is not None and value < 1:
            option = name.replace("_", "-")
            raise ZooError(f"--{option} takes a number of at least 1; received {value}.")
    named = [name.partition(":")[0].strip() for name in (options.pareto or "").split(",")]
    for name in (*named, (options.sort or "").removeprefix("-")):
        if name in MEASURED:
            raise ZooError(f"{name} is measured by the service; here rows have totals alone.")
    if options.only_front and not options.pareto:
        raise ZooError("--only-front needs --pareto, which says what is better.")
    if options.random is not None and options.run_cap is not None:
        raise ZooError("--random says how many rows are drawn, so --run-cap has nothing to refuse.")
    if options.dry_run:
        for name in ("pareto", "sort", "fail_fast"):
            if getattr(options, name):
                option = name.replace("_", "-")
                raise ZooError(f"--dry-run traces nothing that --{option} could look at.")
        if options.format == "parquet":
            raise ZooError("--dry-run has no totals for a Parquet file; take csv or json.")
    if options.document is None:
        if options.spec is None:
            raise ZooError("A sweep takes a SPEC and axes, or --document FILE.")
        return
    for name in ("spec", "axes", "zip", "where", "predict_gain", "random", "seed", "run_cap"):
        if getattr(options, name):
            shown = name.upper() if name in ("spec", "axes") else "--" + name.replace("_", "-")
            raise ZooError(f"The document of --document says all of the sweep; leave out {shown}.")


def _read(options: argparse.Namespace, scopes: ScopeFiles) -> Sweep:
    """Return the sweep of the command line.

    Raises: ZooError; a mistake in an axis is told with its text.
    """
    library = scopes if scopes.names else None
    if options.document is not None:
        document = _read_file(options.document)
        if isinstance(document, dict) and document.get("method") != "random":
            document.setdefault("run_cap", _MAX_ROWS)
        return sweep(document, library)
    spec, seed = read_document(options.spec), options.seed or 0
    axes: dict[str, Any] = {}
    texts: dict[str, str] = {}
    for (place, axis), text in _axes(options, spec if isinstance(spec, Mapping) else {}, seed):
        if place in axes:
            raise ZooError(f"{text}: two axes set {place}.")
        if options.random is None and isinstance(axis, dict) and "distribution" in axis:
            raise ZooError(
                f"{text}: an interval has no rows of its own. Draw rows by --random N, or give "
                "values or a range()."
            )
        axes[place], texts[json_pointer("axes", place)] = axis, text
    texts |= {json_pointer("where", index): each for index, each in enumerate(options.where)}
    is_random = options.random is not None
    document = {
        "spec": spec,
        "method": "random" if is_random else "grid",
        "axes": axes,
        "where": options.where,
        "columns": ["predicted_gain"] if options.predict_gain else [],
        "run_cap": options.random if is_random else options.run_cap or _MAX_ROWS,
        "seed": seed,
    }
    try:
        return sweep(document, library)
    except SpecError as error:
        messages = (_of_argument(str(each), each.pointer, texts) for each in error.problems)
        raise ZooError("\n".join(messages)) from error


def _axes(
    options: argparse.Namespace, spec: Mapping[str, Any], seed: int
) -> Iterator[tuple[AxisText, str]]:
    """Yield each axis and each group, with its text."""
    for text in options.axes:
        yield read_axis(text, spec, seed=seed), text
    for name, *texts in options.zip:
        members = [read_axis(text, spec, seed=seed, in_group=True) for text in texts]
        for place, _ in members:
            if [each.place for each in members].count(place) > 1:
                raise ZooError(f"--zip {name}: two axes set {place}.")
        yield AxisText(name, {"zip": dict(members)}), " ".join(["--zip", name, *texts])


def _of_argument(message: str, pointer: str, texts: Mapping[str, str]) -> str:
    """Return a problem of the document as one of the argument that it comes from."""
    for place, text in texts.items():
        if f"{pointer}/".startswith(f"{place}/"):
            return f"{text}: {message.removeprefix(pointer).removeprefix(': ')}"
    return message


def _read_file(name: str) -> object:
    try:
        data = sys.stdin.buffer.read() if name == "-" else Path(name).read_bytes()
    except OSError as error:
        raise ZooError(f"{name} cannot be read: {error.strerror}.") from error
    return read_json(data)
