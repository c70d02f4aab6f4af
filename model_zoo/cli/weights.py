"""`model-zoo weights`: import, list, plan, export and fetch weights."""

import argparse
import contextlib
import glob
import json
import re
import sys
from collections.abc import Sequence
from pathlib import Path

from model_zoo.cli.common import (
    LocalLibrary,
    add_home,
    add_spec,
    open_store,
    progress,
    read_spec,
    traced,
)
from model_zoo.errors import ZooError
from model_zoo.file_locks import HomeInUseError, HomeLock
from model_zoo.saving import weight_writer
from model_zoo.spec import BuildSpec
from model_zoo.tracing import trace
from model_zoo.weight_sources import CHECKPOINT_ID
from model_zoo.weights.files import FORMATS, find_format
from model_zoo.weights.importing import import_checkpoint
from model_zoo.weights.published import describe_published, find_published, markdown
from model_zoo.weights.reading.contents import NamedFile
from model_zoo.weights.restore import plan_restore
from model_zoo.weights.store import Checkpoint, CheckpointStore

_MEMBER = "the checkpoint to import, if an archive holds several"


def add_commands(parser: argparse.ArgumentParser) -> None:
    """Add the commands to the parser of `model-zoo weights`."""
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    importing = commands.add_parser("import", help="import weight files into the store")
    importing.add_argument(
        "files",
        metavar="FILE",
        type=Path,
        nargs="+",
        help="the files of one checkpoint, an archive of them, or a V2 checkpoint's prefix",
    )
    importing.add_argument("--name", help="a name for the weights; the first file's by default")
    importing.add_argument("--member", help=_MEMBER)
    add_home(importing)
    importing.set_defaults(run=_import)

    listing = commands.add_parser("list", help="list imported weights, newest first")
    add_home(listing)
    listing.set_defaults(run=_list)

    show = commands.add_parser("show", help="the tensors of imported weights")
    show.add_argument("id", metavar="ID")
    add_home(show)
    show.set_defaults(run=_show)

    remove = commands.add_parser("remove", help="remove imported weights")
    remove.add_argument("id", metavar="ID")
    add_home(remove)
    remove.set_defaults(run=_remove)

    plan = commands.add_parser("plan", help="show what a restore would do, variable by variable")
    add_spec(plan)
    plan.add_argument(
        "source",
        metavar="WEIGHTS",
        nargs="?",
        help="an id, or a file to import; without it, the spec's own sources",
    )
    plan.add_argument("--format", choices=("text", "json"), default="text")
    add_home(plan)
    plan.set_defaults(run=_plan)

    export = commands.add_parser("export", help="write a build's weights to a file")
    add_spec(export)
    export.add_argument("output", type=Path)
    export.add_argument("--format", choices=tuple(FORMATS), default="safetensors")
    for option, (default, *others) in FORMATS["onnx"].options.items():
        known = f"of an ONNX file (default: {default})"
        export.add_argument(f"--{option}", choices=sorted([default, *others]), help=known)
    add_home(export)
    export.set_defaults(run=_export)

    published = commands.add_parser("published", help="the published TF-Slim checkpoints")
    published.add_argument("--format", choices=("text", "markdown", "json"), default="text")
    published.set_defaults(run=_published)

    fetching = commands.add_parser("fetch", help="download a published checkpoint, and import it")
    fetching.add_argument("name", metavar="NAME")
    fetching.add_argument("--member", help=_MEMBER)
    fetching.add_argument("--sha256", help="reject a file with another digest")
    add_home(fetching)
    fetching.set_defaults(run=_fetch)


def _imported(
    store: CheckpointStore,
    paths: Sequence[Path],
    name: str | None = None,
    member: str | None = None,
) -> Checkpoint:
    files = [NamedFile(path.name, path) for path in _files(paths)]
    try:
        with progress(f"importing {', '.join(file.name for file in files)}"):
            checkpoint, _ = import_checkpoint(store, files, name=name, member=member)
    except OSError as error:
        raise ZooError(f"The weights cannot be imported: {error.strerror}.") from error
    return checkpoint


def _files(paths: Sequence[Path]) -> list[Path]:
    """Return the files at the paths; one may be the prefix of a V2 checkpoint, as TensorFlow's are.

    Raises: ZooError if there is nothing at a path.
    """
    files: list[Path] = []
    for path in paths:
        index = path.with_name(path.name + ".index")
        if path.is_file():
            files.append(path)
        elif index.is_file():
            files += [index, *sorted(path.parent.glob(f"{glob.escape(path.name)}.data-*"))]
        else:
            raise ZooError(f"{path} is neither a file nor the prefix of a checkpoint.")
    return files


def _import(options: argparse.Namespace) -> int:
    checkpoint = _imported(open_store(options), options.files, options.name, options.member)
    print(json.dumps(checkpoint.to_dict(), indent=2))
    return 0


def _list(options: argparse.Namespace) -> int:
    for checkpoint in open_store(options).list():
        step = "" if checkpoint.global_step is None else f", step {checkpoint.global_step}"
        print(
            f"{checkpoint.id}  {checkpoint.name}  ({checkpoint.format}, "
            f"{len(checkpoint.tensors)} tensors, {checkpoint.parameters:,} values{step})"
        )
    return 0


def _show(options: argparse.Namespace) -> int:
    for name, info in open_store(options).get(options.id).tensors.items():
        print(f"{name}  {info.dtype} {list(info.shape)}")
    return 0


def _remove(options: argparse.Namespace) -> int:
    try:
        lock = HomeLock(options.home)
    except HomeInUseError as error:
        raise ZooError(
            f"{error} Ask that service, which knows what its builds need: DELETE "
            f"/v1/weights/{options.id}."
        ) from error
    except OSError as error:
        raise ZooError(f"{options.home} cannot be written: {error.strerror}.") from error
    with contextlib.closing(lock):
        open_store(options).remove(options.id)
    return 0


def _plan(options: argparse.Namespace) -> int:
    store = open_store(options)
    spec = read_spec(options)
    if options.source is not None:
        path = Path(options.source)
        is_id = re.fullmatch(CHECKPOINT_ID, options.source)
        checkpoint_id = options.source if is_id else _imported(store, [path]).id
        source = {"source": "checkpoint", "id": checkpoint_id}
        spec = BuildSpec.read({**spec.normalized(), "weights": source})
    plan = plan_restore(trace(spec), LocalLibrary(store))
    if options.format == "json":
        print(json.dumps(plan.to_dict(), indent=2))
    else:
        print(plan.to_text(), end="")
    return 0


def _export(options: argparse.Namespace) -> int:
    given = {name: getattr(options, name) for name in FORMATS["onnx"].options}
    chosen = {name: value for name, value in given.items() if value is not None}
    find_format(options.format, chosen)  # before anything is printed
    build = traced(options)
    with progress(f"loading the weights of {build.spec.architecture}"):
        write = weight_writer(build, LocalLibrary(open_store(options)), options.format, chosen)
    try:
        with progress(f"writing {options.output}"):
            write(options.output)
    except OSError as error:
        reason = error.strerror or error
        raise ZooError(f"{options.output} cannot be written: {reason}.") from error
    return 0


def _published(options: argparse.Namespace) -> int:
    if options.format == "json":
        print(json.dumps(describe_published(), indent=2))
    elif options.format == "markdown":
        print(markdown())
    else:
        for row in describe_published():
            accuracy = f"top-1 {row['top_1']}" + (f", top-5 {row['top_5']}" if row["top_5"] else "")
            print(f"{row['name']}  {row['architecture']}, {row['classes']} classes, {accuracy}")
    return 0


def _fetch(options: argparse.Namespace) -> int:
    # Imported here: no other command uses the network.
    from model_zoo.weights.fetch import fetch

    row = find_published(options.name)
    store = open_store(options)
    target = options.home / "downloads" / row.url.rsplit("/", 1)[-1]
    fetch(row.url, target, sha256=options.sha256 or row.sha256, progress=_show_bytes)
    print(file=sys.stderr)
    checkpoint = _imported(store, [target], row.name, options.member)
    source = {"source": "checkpoint", "id": checkpoint.id}
    print(json.dumps({**row.spec(), "weights": source}, indent=2))
    return 0


def _show_bytes(received: int, total: int | None) -> None:
    of = f" of {total / 1e6:.1f} MB ({received / total:.0%})" if total else " MB"
    print(f"\rfetching: {received / 1e6:.1f}{of}", end="", file=sys.stderr, flush=True)
