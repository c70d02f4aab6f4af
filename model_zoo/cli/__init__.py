"""`model-zoo`: list, explain, write as code, export, predict and verify from a terminal.

Results go to standard output, progress to standard error; errors end with status 1, those of
`diff`, `sweep` and `probe` with 2.
"""

import argparse
import json
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from model_zoo.cli.common import (
    add_home,
    add_spec,
    materialized,
    progress,
    read_images,
    traced,
)
from model_zoo.cli.diff import add_diff
from model_zoo.cli.graph import add_graph
from model_zoo.cli.home import add_home_commands
from model_zoo.cli.probe import add_probe
from model_zoo.cli.sweep import add_sweep
from model_zoo.cli.tokens import add_token_commands
from model_zoo.cli.weights import add_commands
from model_zoo.errors import ZooError
from model_zoo.reports.code.styles import CODE_STYLES
from model_zoo.reports.explanation_csv import explanation_csv
from model_zoo.reports.explanation_filter import filter_explanation
from model_zoo.tables import aligned_table, markdown_table, spell_shape
from model_zoo.zoo import (
    ArchitectureRow,
    describe_architecture,
    describe_architectures,
    describe_op,
    failed_packages,
    list_ops,
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status."""
    options = _parser().parse_args(arguments)
    try:
        status: int = options.run(options)
    except ZooError as error:
        print(f"model-zoo: {error}", file=sys.stderr)
        return int(options.trouble)
    except BrokenPipeError:  # the reader has seen enough: `model-zoo summary ... | head`
        sys.stderr.close()
        return int(options.broken_pipe)
    return status


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="model-zoo", description=(__doc__ or "").split("\n")[0])
    parser.set_defaults(trouble=1, broken_pipe=0)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    listing = commands.add_parser("list", help="the catalogue of architectures, or the scoped ops")
    listing.add_argument("--ops", action="store_true", help="the names of the scoped ops instead")
    listing.add_argument("--format", choices=("text", "markdown", "json"), default="text")
    listing.set_defaults(run=_list)

    describe = commands.add_parser("describe", help="show an architecture or a scoped op as JSON")
    describe.add_argument("name")
    describe.set_defaults(run=_describe)

    summary = commands.add_parser("summary", help="layers, shapes, parameters, multiply-adds")
    add_spec(summary)
    summary.add_argument("--format", choices=("text", "json", "csv"), default="text")
    summary.set_defaults(run=_summary)

    explain = commands.add_parser("explain", help="who set each argument, and what it beat")
    add_spec(explain)
    explain.add_argument("--layer", help="only calls in this layer, or under this scope; * is any")
    explain.add_argument("--op", help="only calls and overrides of this op; * is any")
    explain.add_argument("--argument", help="only this argument; * is any")
    explain.add_argument("--format", choices=("text", "json", "csv"), default="text")
    explain.set_defaults(run=_explain)

    code = commands.add_parser("code", help="a build as code: scopes around the network's call")
    add_spec(code)
    styles = tuple(CODE_STYLES)
    code.add_argument("--style", choices=styles, default=styles[0], help="tf-slim is for TF-Slim")
    code.set_defaults(run=_code)

    add_diff(commands.add_parser("diff", help="what differs between two specs, and who set it"))

    add_sweep(commands.add_parser("sweep", help="many builds that differ along axes, as a table"))

    add_graph(commands.add_parser("graph", help="draw the network: dot, JSON, Model Explorer"))

    add_probe(commands.add_parser("probe", help="where the signal dies, and who is to blame"))

    add_commands(commands.add_parser("weights", help="import, plan, export, fetch weights"))

    add_home_commands(commands.add_parser("home", help="back up a service's home, and restore it"))

    add_token_commands(commands.add_parser("token", help="make, list, revoke a service's tokens"))

    predict = commands.add_parser("predict", help="classify images")
    add_spec(predict)
    predict.add_argument("images", metavar="IMAGE", type=Path, nargs="+")
    predict.add_argument("--top-k", type=int, default=5)
    add_home(predict)
    predict.set_defaults(run=_predict)

    verify = commands.add_parser("verify", help="replay golden records of the TF-Slim networks")
    verify.add_argument("paths", metavar="PATH", type=Path, nargs="+")
    verify.set_defaults(run=_verify)
    return parser


def _list(options: argparse.Namespace) -> int:
    if options.ops:
        print(json.dumps(list_ops()) if options.format == "json" else "\n".join(list_ops()))
        return 0
    rows = describe_architectures()
    for failure in failed_packages():
        print(f"warning: {failure}", file=sys.stderr)
    print(json.dumps(rows, indent=2) if options.format == "json" else _table(rows, options.format))
    return 0


def _table(rows: Sequence[ArchitectureRow], form: str) -> str:
    """Return the catalogue as lines of aligned columns, or as a table of Markdown."""
    header = (
        *("name", "family", "parameters", "multiply-adds"),
        *("input", "classes", "preprocessing", "source"),
    )
    cells = [
        (
            row["name"],
            row["family"],
            f"{row['parameters']:,}",
            f"{row['multiply_adds']:,}",
            spell_shape(row["input_shape"]),
            f"{row['classes']}{' with background' if row['background_class'] else ''}",
            row["preprocessing"],
            row["source"],
        )
        for row in rows
    ]
    if form == "markdown":
        return markdown_table(header, cells, right=(2, 3))
    return "\n".join(aligned_table(header, cells, right=(2, 3)))


def _describe(options: argparse.Namespace) -> int:
    known_op = options.name in list_ops()
    describe = describe_op if known_op else describe_architecture
    print(json.dumps(describe(options.name), indent=2))
    return 0


def _summary(options: argparse.Namespace) -> int:
    summary = traced(options).summary()
    if options.format == "json":
        print(json.dumps(summary.to_dict(), indent=2))
    else:
        print(summary.to_csv() if options.format == "csv" else summary.to_text(), end="")
    return 0


def _explain(options: argparse.Namespace) -> int:
    explanation = filter_explanation(
        traced(options).explanation(),
        layer=options.layer,
        op=options.op,
        argument=options.argument,
    )
    if options.format == "json":
        print(json.dumps(explanation.to_dict(), indent=2))
    elif options.format == "csv":
        print(explanation_csv(explanation), end="")
    else:
        print(explanation.to_text(), end="")
    return 0


def _code(options: argparse.Namespace) -> int:
    print(traced(options).code(options.style), end="")
    return 0


def _predict(options: argparse.Namespace) -> int:
    # Imported here: NumPy serves few commands.
    from model_zoo.classification import class_probabilities, top_classes

    build = traced(options)
    batch = read_images(build, options.images)
    if build.classes is None:
        raise ZooError(f"This build of {build.spec.architecture} has no classes to predict.")
    model = materialized(build, options)
    with progress(f"predicting {len(batch)}"):
        probabilities = class_probabilities(model.predict(batch))
    for path, row in zip(options.images, probabilities, strict=True):
        print(path)
        for index in top_classes(row, options.top_k):
            print(f"  {index:5d}  {row[index]:.6f}")
    return 0


def _verify(options: argparse.Namespace) -> int:
    # The records were made with Eigen's kernels; oneDNN's differ in the last digits.
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")
    with progress("loading TensorFlow"):
        # Imported here: only this command needs it, and it takes seconds.
        from model_zoo.verify import find_records, verify_record
    records = find_records(options.paths)
    passed = 0
    for index, path in enumerate(records, 1):
        start = time.perf_counter()
        result = verify_record(path)
        passed += result.passed
        outcome = "ok" if result.passed else f"FAIL {result.difference}"
        seconds = time.perf_counter() - start
        print(f"{index}/{len(records)} {result.case}: {outcome} ({seconds:.1f} s)", flush=True)
    print(f"{passed}/{len(records)}")
    return 0 if passed == len(records) else 1
