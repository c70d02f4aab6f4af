"""`model-zoo probe`: where the signal of a build dies, and who is to blame."""

import argparse
import json
from pathlib import Path

from model_zoo.cli.common import (
    LocalLibrary,
    add_home,
    add_spec,
    open_store,
    progress,
    read_images,
    traced,
)
from model_zoo.errors import ZooError
from model_zoo.probing.documents import DEFAULT_ROWS, MODES
from model_zoo.probing.probe import probe

_HEALTHY, _BAD, _TROUBLE = 0, 1, 2


def add_probe(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `model-zoo probe` to its parser."""
    parser.description = (
        "Send normal noise, or images, through a build with its own weights, and measure the "
        "output of each layer in inference and in training mode. The status is 0 if the signal is "
        "healthy, 1 if it vanishes, explodes, is not finite or units are dead, 2 if there is "
        "trouble."
    )
    add_spec(parser)
    parser.add_argument("images", metavar="IMAGE", type=Path, nargs="*", help="instead of noise")
    parser.add_argument("--rows", type=int, help=f"rows of noise; {DEFAULT_ROWS} by default")
    parser.add_argument("--seed", type=int, default=0, help="of the noise, and of the loss")
    parser.add_argument("--mode", choices=MODES, help="only this mode; by default both")
    parser.add_argument(
        "--gradients", action="store_true", help="also the gradient of a scalar loss at each layer"
    )
    forms = parser.add_mutually_exclusive_group()
    forms.add_argument("--format", choices=("text", "json", "csv"), default="text")
    for name in ("json", "csv"):
        forms.add_argument(
            f"--{name}", dest="format", action="store_const", const=name, help=f"--format {name}"
        )
    add_home(parser)
    parser.set_defaults(run=_probe, trouble=_TROUBLE)


def _probe(options: argparse.Namespace) -> int:
    build = traced(options)
    if options.images and options.rows is not None:
        raise ZooError("--rows counts rows of noise; each image is a row of its own.")
    images = read_images(build, options.images) if options.images else None
    with progress("loading TensorFlow"):
        # Imported here: few commands need it, and it takes seconds.
        import model_zoo.lowering  # noqa: F401
    with progress(f"probing {build.spec.architecture}"):
        result = probe(
            build,
            LocalLibrary(open_store(options)),
            inputs=images,
            are_images=images is not None,
            rows=DEFAULT_ROWS if options.rows is None else options.rows,
            seed=options.seed,
            gradients=options.gradients,
            modes=(options.mode,) if options.mode else MODES,
        )
    status = _HEALTHY if result.is_healthy else _BAD
    options.broken_pipe = status  # whoever stops reading early has the answer too
    if options.format == "json":
        print(json.dumps(result.to_dict(), indent=2))
    else:
        print(result.to_csv() if options.format == "csv" else result.to_text(), end="")
    return status
