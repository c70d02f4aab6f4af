"""What several commands do: read a spec, find the store, show progress, build the network."""

import argparse
import os
import re
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from model_zoo.errors import Problem, WeightsError, ZooError, suggest, unknown_name
from model_zoo.levels import read_scope
from model_zoo.packages import why_missing
from model_zoo.saved_scopes import SCOPE_NAME, SavedScope
from model_zoo.spec import BuildSpec
from model_zoo.strict_json import read_json
from model_zoo.tracing import Trace, trace
from model_zoo.weights.store import Checkpoint, CheckpointStore
from model_zoo.zoo import list_architectures

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from model_zoo.lowering import Model

HOME = "ZOO_HOME"


def add_home(parser: argparse.ArgumentParser) -> None:
    """Add the option that names the folder of imported weights."""
    default = Path(os.environ.get(HOME, "zoo-home"))
    parser.add_argument(
        "--home",
        type=Path,
        default=default,
        help=f"folder of imported weights, as the service has it ({HOME}; {default})",
    )


def add_spec(
    parser: argparse.ArgumentParser, *names: str, nargs: Literal["?"] | None = None
) -> None:
    """Add the argument that names a spec, or several, and that of saved scopes: see `spec_of`."""
    for name in names or ("spec",):
        parser.add_argument(
            name,
            metavar=name.upper(),
            nargs=nargs,
            help="what a request would send: JSON, a file of JSON, or - for standard input; or "
            "the name of an architecture",
        )
    parser.add_argument(
        "--scope",
        metavar="NAME=FILE",
        action="append",
        default=[],
        help='a saved scope that a spec names: a JSON file, {"levels": [...]}; may be repeated, '
        "and name those before it",
    )


class ScopeFiles:
    """The saved scopes of a command line."""

    def __init__(self, options: Sequence[str]) -> None:
        """Read each NAME=FILE.

        Raises: ZooError if a file cannot be read, or is no scope, or if two have one name.
        """
        self._scopes: dict[str, SavedScope] = {}
        self._named: set[str] = set()
        for option in options:
            name, is_pair, path = option.partition("=")
            if not (is_pair and re.fullmatch(SCOPE_NAME, name)):
                raise ZooError(f"--scope takes NAME=FILE; received {option!r}.")
            if not path:
                raise ZooError(f"--scope takes NAME=FILE; the path of {name!r} is empty.")
            if name in self._scopes:
                raise ZooError(f"--scope names {name!r} twice; a name stands for one file.")
            try:
                data = Path(path).read_bytes()
            except OSError as error:
                raise ZooError(f"{path} cannot be read: {error.strerror}.") from error
            try:
                self._scopes[name] = read_scope(name, read_json(data), self)
            except ZooError as error:
                raise ZooError(
                    *(
                        Problem(f"{path}: {problem}", "", problem.received, problem.suggestion)
                        for problem in error.problems
                    )
                ) from error

    @property
    def names(self) -> list[str]:
        return list(self._scopes)

    def warn(self) -> None:
        """Warn on standard error of each scope that no spec, and no other scope, has named."""
        for name in self.names:
            if name not in self._named:
                print(f"warning: --scope {name}: nothing names this saved scope.", file=sys.stderr)

    def scope(self, name: str, digest: str | None) -> SavedScope:
        """Return a scope by its name, if it is the version that is asked for.

        Raises: ZooError if it is not.
        """
        scope = self._scopes.get(name)
        if scope is None:
            rule = f"No --scope is named {name!r}."
            raise ZooError(unknown_name("", rule, name, self._scopes))
        self._named.add(name)
        if digest is not None and not scope.digest.startswith(digest):
            raise ZooError(f"The saved scope {name!r} is {scope.digest} here, not {digest}.")
        return scope


def open_store(options: argparse.Namespace) -> CheckpointStore:
    """Return the store of imported weights.

    Raises: ZooError if its folder cannot be made.
    """
    try:
        return CheckpointStore(options.home)
    except OSError as error:
        raise ZooError(f"{options.home} cannot be written: {error.strerror}.") from error


class LocalLibrary:
    """Finds the sources of a spec's weights: checkpoints in a store; builds are the service's."""

    def __init__(self, store: CheckpointStore) -> None:
        self._store = store

    def checkpoint(self, checkpoint_id: str) -> Checkpoint:
        """Return an imported checkpoint.

        Raises: WeightsError if there is no checkpoint with this id.
        """
        return self._store.get(checkpoint_id)

    def build(self, build_id: str) -> BuildSpec:
        """Raises: WeightsError, always."""
        raise WeightsError(
            f"Build {build_id} is kept by a service; export its weights there and import them here."
        )


def read_spec(options: argparse.Namespace) -> BuildSpec:
    """Return the spec of a command that takes one; see `spec_of` and `ScopeFiles.warn`."""
    scopes = ScopeFiles(options.scope)
    spec = spec_of(options.spec, scopes)
    scopes.warn()
    return spec


def spec_of(name: str, scopes: ScopeFiles) -> BuildSpec:
    """Return the spec of JSON, of a JSON file, of standard input (`-`), or of an architecture.

    A file whose name begins with a brace is `./{...`.
    Raises: ZooError if it is none of these, or not valid.
    """
    return BuildSpec.read(read_document(name), scopes if scopes.names else None)


def read_document(name: str) -> object:
    """Return the JSON of a spec, or that of an architecture's name; see `spec_of`."""
    if name in list_architectures():
        return {"architecture": name}
    if name.lstrip().startswith("{"):
        return read_json(os.fsencode(name))
    if not name:
        raise ZooError("A spec is JSON, a path or an architecture; the path is empty.")
    try:
        data = sys.stdin.buffer.read() if name == "-" else Path(name).read_bytes()
    except OSError as error:
        raise ZooError(
            f"{name} is neither an architecture, nor a readable file ({error.strerror}), nor JSON "
            f"(which begins with a brace). {suggest(name, list_architectures())}{why_missing(name)}"
        ) from error
    return read_json(data)


def traced(options: argparse.Namespace) -> Trace:
    """Return the trace of a command's spec, with its warnings on standard error."""
    result = trace(read_spec(options))
    for warning in result.warnings:
        print(f"warning: {warning}", file=sys.stderr)
    return result


@contextmanager
def progress(what: str) -> Iterator[None]:
    """Report a step on standard error, and how long it took."""
    print(f"{what} ...", end="", file=sys.stderr, flush=True)
    start = time.perf_counter()
    try:
        yield
    except BaseException:
        print(" failed", file=sys.stderr)
        raise
    print(f" {time.perf_counter() - start:.1f} s", file=sys.stderr)


def materialized(build: Trace, options: argparse.Namespace) -> "Model":
    """Return a trace's network with its weights."""
    with progress("loading TensorFlow"):
        # Imported here: few commands need it, and it takes seconds.
        from model_zoo.lowering import materialize
    with progress(f"building {build.spec.architecture}"):
        return materialize(build, LocalLibrary(open_store(options)))


def read_images(build: Trace, paths: Sequence[Path]) -> "NDArray[np.float32]":
    """Return image files as a batch, preprocessed for a build; warnings go to standard error.

    Raises: ZooError if a file cannot be read, or is no image that fits.
    """
    # Imported here: NumPy and Pillow serve few commands.
    import numpy as np

    from model_zoo.image_files import decode_image
    from model_zoo.preprocessing import preprocess

    shape = build.spec.input_shape
    batch = []
    for path in paths:
        try:
            data = path.read_bytes()
        except OSError as error:
            raise ZooError(f"{path} cannot be read: {error.strerror}.") from error
        image = decode_image(data, channels=shape[-1], warn=partial(_warn, path))
        batch.append(preprocess(build.architecture.preprocessing, image, shape))
    return np.stack(batch)


def _warn(path: Path, message: str) -> None:
    print(f"{path}: {message}", file=sys.stderr)
