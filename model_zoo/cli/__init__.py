"""`model-zoo`: list, explain, export, predict and verify from a terminal.

A SPEC is a JSON file as a request would send it, `-` for standard input, or an architecture's name.
Results go to standard output, progress to standard error; errors end with status 1.
"""

import argparse
import json
import os
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from model_zoo.errors import ZooError
from model_zoo.spec import BuildSpec
from model_zoo.strict_json import read_json
from model_zoo.tracing import Trace, trace
from model_zoo.zoo import (
    describe_architecture,
    describe_architectures,
    describe_op,
    list_architectures,
    list_ops,
)

if TYPE_CHECKING:
    from model_zoo.lowering import Model


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status."""
    options = _parser().parse_args(arguments)
    try:
        status: int = options.run(options)
    except ZooError as error:
        print(f"model-zoo: {error}", file=sys.stderr)
        return 1
    except BrokenPipeError:  # the reader has seen enough: `model-zoo summary ... | head`
        sys.stderr.close()
        return 0
    return status


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="model-zoo", description=(__doc__ or "").split("\n")[0])
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    listing = commands.add_parser("list", help="the catalogue of architectures, or the scoped ops")
    listing.add_argument("--ops", action="store_true", help="the names of the scoped ops instead")
    listing.add_argument("--format", choices=("text", "markdown", "json"), default="text")
    listing.set_defaults(run=_list)

    describe = commands.add_parser("describe", help="show an architecture or a scoped op as JSON")
    describe.add_argument("name")
    describe.set_defaults(run=_describe)

    summary = commands.add_parser("summary", help="layers, shapes, parameters, multiply-adds")
    summary.add_argument("spec", metavar="SPEC")
    summary.add_argument("--format", choices=("text", "json", "csv"), default="text")
    summary.set_defaults(run=_summary)

    explain = commands.add_parser("explain", help="who set each argument, and what it beat")
    explain.add_argument("spec", metavar="SPEC")
    explain.add_argument("--format", choices=("text", "json"), default="text")
    explain.set_defaults(run=_explain)

    weights = commands.add_parser("weights", help="write the weights to a file")
    weights.add_argument("spec", metavar="SPEC")
    weights.add_argument("output", type=Path)
    weights.add_argument("--format", default="safetensors", help="npz, safetensors or keras")
    weights.set_defaults(run=_weights)

    predict = commands.add_parser("predict", help="classify images")
    predict.add_argument("spec", metavar="SPEC")
    predict.add_argument("images", metavar="IMAGE", type=Path, nargs="+")
    predict.add_argument("--top-k", type=int, default=5)
    predict.set_defaults(run=_predict)

    verify = commands.add_parser("verify", help="replay golden records of the TF-Slim networks")
    verify.add_argument("paths", metavar="PATH", type=Path, nargs="+")
    verify.set_defaults(run=_verify)
    return parser


def _read_spec(name: str) -> BuildSpec:
    if name in list_architectures():
        return BuildSpec.read({"architecture": name})
    try:
        data = sys.stdin.buffer.read() if name == "-" else Path(name).read_bytes()
    except OSError as error:
        raise ZooError(
            f"{name} is neither an architecture nor a readable file ({error.strerror}); "
            f"architectures: {', '.join(list_architectures())}."
        ) from error
    return BuildSpec.read(read_json(data))


def _traced(options: argparse.Namespace) -> Trace:
    result = trace(_read_spec(options.spec))
    for warning in result.warnings:
        print(f"warning: {warning}", file=sys.stderr)
    return result


def _list(options: argparse.Namespace) -> int:
    if options.ops:
        print(json.dumps(list_ops()) if options.format == "json" else "\n".join(list_ops()))
        return 0
    rows = describe_architectures()
    print(json.dumps(rows, indent=2) if options.format == "json" else _table(rows, options.format))
    return 0


def _table(rows: list[dict[str, Any]], form: str) -> str:
    """Return the catalogue as lines of aligned columns, or as a table of Markdown."""
    cells = [("name", "parameters", "multiply-adds", "input", "classes", "preprocessing", "source")]
    for row in rows:
        background = " with background" if row["background_class"] else ""
        cells.append(
            (
                row["name"],
                f"{row['parameters']:,}",
                f"{row['multiply_adds']:,}",
                "x".join(map(str, row["input_shape"])),
                f"{row['classes']}{background}",
                row["preprocessing"],
                row["source"],
            )
        )
    if form == "markdown":
        rule = "|---|--:|--:|---|---|---|---|"
        lines = [f"| {' | '.join(line)} |" for line in cells]
        return "\n".join([lines[0], rule, *lines[1:]])
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if number in (1, 2) else cell.ljust(width)
            for number, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in cells
    )


def _describe(options: argparse.Namespace) -> int:
    known_op = options.name in list_ops()
    found = describe_op(options.name) if known_op else describe_architecture(options.name)
    print(json.dumps(found, indent=2))
    return 0


def _summary(options: argparse.Namespace) -> int:
    summary = _traced(options).summary()
    if options.format == "json":
        print(json.dumps(summary.to_dict(), indent=2))
    else:
        print(summary.to_csv() if options.format == "csv" else summary.to_text(), end="")
    return 0


def _explain(options: argparse.Namespace) -> int:
    explanation = _traced(options).explanation()
    if options.format == "json":
        print(json.dumps(explanation.to_dict(), indent=2))
    else:
        print(explanation.to_text(), end="")
    return 0


@contextmanager
def _progress(what: str) -> Iterator[None]:
    print(f"{what} ...", end="", file=sys.stderr, flush=True)
    start = time.perf_counter()
    try:
        yield
    except BaseException:
        print(" failed", file=sys.stderr)
        raise
    print(f" {time.perf_counter() - start:.1f} s", file=sys.stderr)


def _materialized(traced: Trace) -> "Model":
    with _progress("loading TensorFlow"):
        # Imported here: only these commands need it, and it takes seconds.
        from model_zoo.lowering import materialize
    with _progress(f"building {traced.spec.architecture}"):
        return materialize(traced)


def _weights(options: argparse.Namespace) -> int:
    model = _materialized(_traced(options))
    with _progress(f"writing {options.output}"):
        model.save(options.output, options.format)
    return 0


def _predict(options: argparse.Namespace) -> int:
    # Imported here: NumPy and Pillow serve this command alone.
    import numpy as np

    from model_zoo.classification import class_probabilities, top_classes
    from model_zoo.preprocessing import decode_image, preprocess

    traced = _traced(options)
    shape = traced.spec.input_shape
    preprocessing = traced.architecture.preprocessing
    batch = []
    for path in options.images:
        try:
            data = path.read_bytes()
        except OSError as error:
            raise ZooError(f"{path} cannot be read: {error.strerror}.") from error
        image = decode_image(data, channels=shape[-1])
        batch.append(preprocess(preprocessing, image, shape))
    if traced.classes is None:
        raise ZooError(f"This build of {traced.spec.architecture} has no classes to predict.")
    model = _materialized(traced)
    with _progress(f"predicting {len(batch)}"):
        probabilities = class_probabilities(model.predict(np.stack(batch)))
    for path, row in zip(options.images, probabilities, strict=True):
        print(path)
        for index in top_classes(row, options.top_k):
            print(f"  {index:5d}  {row[index]:.6f}")
    return 0


def _verify(options: argparse.Namespace) -> int:
    # The records were made with Eigen's kernels; oneDNN's differ in the last digits.
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")
    with _progress("loading TensorFlow"):
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


if __name__ == "__main__":
    sys.exit(main())
