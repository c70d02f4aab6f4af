"""Say in one table what works on this machine's GPU: golden records, precisions, rows a second.

    python scripts/check_gpu.py [RECORDS]

It takes the first of TensorFlow, JAX and PyTorch that sees a GPU (or KERAS_BACKEND), replays golden
records on it, and measures networks in float32, in TF32 and in bfloat16 at growing batches. Rows a
second count from memory of the host to memory of the host, as a service uses them. It needs no
network, and of the three backends only one, with keras, pydantic and this repository.

It ends in `--seconds`: compiling counts, batches and records for which no time is left are left
out, and the table says so. Each measurement is a process of its own, so that one that hangs or dies
costs its row of the table alone.

Exit status: 0 if all works, 1 if something does not or there is no GPU, 2 for wrong arguments.
"""

import argparse
import importlib.util
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
STARTED = time.monotonic()

# The largest difference from a record at which a precision works, relative to the largest output.
# Products have mantissas of 23, 10 and 7 bits; the bounds leave room for a network's depth.
PRECISIONS = {"float32": 1e-4, "TF32": 1e-2, "bfloat16": 5e-2}
NETWORKS = ("mobilenet_v1", "resnet_v1_50", "inception_v3")
BATCHES = (1, 8, 32, 128, 512)
# Of the time, for replaying records.
REPLAY_SHARE = 0.3
# Of a step's time, for what it measures; the rest is for what it cannot foresee.
MEASURED_SHARE = 0.85

Message = dict[str, Any]
Step = Mapping[str, Any]


# What differs between the backends ------------------------------------------------------------


def tensorflow_gpu() -> str | None:
    import tensorflow as tf

    gpus = tf.config.list_physical_devices("GPU")
    if not gpus:
        return None
    return str(tf.config.experimental.get_device_details(gpus[0]).get("device_name", gpus[0].name))


def jax_gpu() -> str | None:
    import jax

    device = jax.devices()[0]
    return str(device.device_kind) if device.platform == "gpu" else None


def torch_gpu() -> str | None:
    import torch

    return str(torch.cuda.get_device_name()) if torch.cuda.is_available() else None


GPU_OF: Mapping[str, Callable[[], str | None]] = {
    "tensorflow": tensorflow_gpu,
    "jax": jax_gpu,
    "torch": torch_gpu,
}


def allow_tf32(backend: str, allowed: bool) -> None:
    if backend == "tensorflow":
        import tensorflow as tf

        tf.config.experimental.enable_tensor_float_32_execution(allowed)
    elif backend == "jax":
        import jax

        precision = "tensorfloat32" if allowed else "float32"
        jax.config.update("jax_default_matmul_precision", precision)
    else:
        import torch

        torch.backends.cuda.matmul.allow_tf32 = allowed
        torch.backends.cudnn.allow_tf32 = allowed


def environment_of(backend: str, cpu: bool) -> dict[str, str]:
    """Return the variables of a process; Keras reads its backend from them when it is imported."""
    environment = {
        "TF_CPP_MIN_LOG_LEVEL": "2",
        "TF_FORCE_GPU_ALLOW_GROWTH": "true",
        **os.environ,
        "KERAS_BACKEND": backend,
    }
    if cpu:
        hidden = {"CUDA_VISIBLE_DEVICES": "-1", "JAX_PLATFORMS": "cpu", "KERAS_TORCH_DEVICE": "cpu"}
        environment |= hidden
    return environment


# Steps, each in a process of its own, which writes messages as lines of JSON ------------------


def find_device(step: Step) -> Iterator[Message]:
    import keras

    backend = step["backend"]
    version = getattr(importlib.import_module(backend), "__version__", "")
    device = "CPU" if step["cpu"] else GPU_OF[backend]()
    if device:
        # What the framework lists and what Keras computes on may differ.
        used = str(keras.ops.matmul(keras.ops.ones((8, 8)), keras.ops.ones((8, 8))).device).lower()
        if not step["cpu"] and not any(name in used for name in ("gpu", "cuda", "rocm")):
            yield {"version": version, "error": f"it lists {device}, but computes on {used}"}
            return
    yield {"version": version, "keras": keras.__version__, "device": device}


def replay_records(step: Step) -> Iterator[Message]:
    """Replay the smallest record of each family, then the next larger ones, until time is up."""
    import gzip

    from model_zoo.verify import find_records, verify_record

    allow_tf32(step["backend"], False)
    families: dict[str, list[tuple[int, Path]]] = {}
    for path in find_records([Path(step["records"])]):
        record = json.loads(gzip.decompress(path.read_bytes()))
        family = record["spec"]["architecture"].split("_")[0]
        families.setdefault(family, []).append((record.get("params_total", 0), path))
    order = sorted(
        (place, size, path)
        for family in families.values()
        for place, (size, path) in enumerate(sorted(family))
    )
    yield {"total": len(order)}
    for _, _, path in order:
        if time.monotonic() - STARTED > step["seconds"]:
            return
        result = verify_record(path)
        yield {"case": result.case, "difference": result.difference}


def measure(step: Step) -> Iterator[Message]:
    """Compare a network with its record, then measure it at growing batches."""
    import numpy as np

    from model_zoo.verify import find_records, golden_input, replay_output

    name, precision = step["network"], step["precision"]
    paths = [p for p in find_records([Path(step["records"])]) if p.name == f"{name}.json.gz"]
    if not paths:
        yield {"error": f"there is no {name}.json.gz in {step['records']}"}
        return
    if precision != "bfloat16":
        allow_tf32(step["backend"], precision == "TF32")
    policy = "bfloat16" if precision == "bfloat16" else "float32"
    began = time.monotonic()
    model, difference = replay_output(paths[0], policy)
    yield {"difference": difference}
    row = golden_input((1, *model.graph.input.shape[1:]))
    before, compiling, median = 1, time.monotonic() - began, 0.0
    for batch in step["batches"]:
        expected = compiling + 3 * median * batch / before
        if time.monotonic() - STARTED + expected > step["seconds"]:
            yield {"batch": batch, "ended": "no time"}
            return
        rows = np.repeat(row, batch, axis=0)
        try:
            first, median = timed(lambda rows=rows: model.predict(rows))
        except Exception as error:
            if not is_out_of_memory(error):
                raise
            yield {"batch": batch, "ended": "out of memory"}
            return
        before, compiling = batch, max(first - median, 0.0)
        yield {"batch": batch, "rows_s": batch / median}


def timed(call: Callable[[], object]) -> tuple[float, float]:
    """Return the seconds of a first call, which may compile, and the median of those after it."""
    began = time.perf_counter()
    call()
    first, seconds = time.perf_counter() - began, []
    while len(seconds) < 2 or (sum(seconds) < 1 and len(seconds) < 50):
        began = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - began)
    return first, sorted(seconds)[len(seconds) // 2]


def is_out_of_memory(error: Exception) -> bool:
    """Return whether an error of any backend says so; they share no type."""
    text = f"{type(error).__name__} {error}".lower()
    signs = (
        "resource_exhausted",
        "resourceexhausted",
        "out of memory",
        "outofmemory",
        "memoryerror",
    )
    return any(sign in text for sign in signs)


STEPS = {"device": find_device, "replay": replay_records, "measure": measure}


def run_step(step: Step) -> None:
    sys.path.insert(0, str(ROOT))
    try:
        for message in STEPS[step["step"]](step):
            print(json.dumps(message), flush=True)
    except Exception as error:
        lines = str(error).splitlines() or [""]
        print(json.dumps({"error": f"{type(error).__name__}: {lines[0]}"}), flush=True)


def ask(step: Step, cpu: bool, seconds: float) -> list[Message]:
    """Run a step in a process; its messages, of which the last may say how it failed."""
    given = {**step, "cpu": cpu, "seconds": seconds * MEASURED_SHARE}
    command = [sys.executable, str(Path(__file__).resolve()), "--step", json.dumps(given)]
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        try:
            process = subprocess.run(
                command,
                env=environment_of(step["backend"], cpu),
                stdout=out,
                stderr=err,
                timeout=max(seconds, 0.1),
            )
            status: int | None = process.returncode
        except subprocess.TimeoutExpired:
            status = None
        out.seek(0)
        lines = [line for line in out.read().splitlines(keepends=True) if line.endswith(b"}\n")]
        messages = [json.loads(line) for line in lines if line.startswith(b"{")]
        if status is None:
            messages.append({"ended": "no time"})
        elif status != 0:
            err.seek(0)
            last = err.read().decode(errors="replace").strip().splitlines()[-1:]
            messages.append({"error": ": ".join([f"ended with status {status}", *last])})
    return messages


# The table ------------------------------------------------------------------------------------


def table(rows: Sequence[Sequence[str]]) -> str:
    """Return rows as a Markdown table that also reads as text; the first has the titles."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = ["| " + " | ".join(map(str.ljust, row, widths)) + " |" for row in rows]
    return "\n".join([lines[0], "|" + "|".join("-" * (w + 2) for w in widths) + "|", *lines[1:]])


def replayed_row(messages: Sequence[Message], batches: int) -> tuple[list[str], bool]:
    """Return what the table says of the replayed records, and whether all passed."""
    cases = [message for message in messages if "case" in message]
    failed = [message["case"] for message in cases if message["difference"] is not None]
    total = next((message["total"] for message in messages if "total" in message), 0)
    error = next((message["error"] for message in messages if "error" in message), None)
    works = bool(cases) and not failed and error is None
    said = f"{len(cases) - len(failed)} of {len(cases)} pass"
    if failed:
        said += f"; not {', '.join(failed)}"
    if error:
        said += f"; {error}"
    if len(cases) < total and not error:
        said += f"; no time for {total - len(cases)} more"
    return ["golden records", "float32", "", *[""] * batches, said], works


def measured_row(
    network: str, precision: str, messages: Sequence[Message], batches: Sequence[int]
) -> tuple[list[str], bool]:
    """Return what the table says of one network in one precision, and whether it works."""
    said: Message = {}
    for message in messages:
        said |= message
    rates = {m["batch"]: f"{m['rows_s']:,.1f}" for m in messages if "rows_s" in m}
    ended = next((m["ended"] for m in messages if "ended" in m), None)
    cells, last = [], None
    for batch in batches:
        if batch in rates:
            cells.append(rates[batch])
        else:  # the reason stands once, where the column of rates ends
            cells.append(ended if ended and last != ended else "")
            last = ended
    difference = said.get("difference")
    if "error" in said:
        verdict = f"no: {said['error']}"
    elif difference is None:
        verdict = f"not known: {ended}"
    elif difference > PRECISIONS[precision]:
        verdict = f"no: differs by more than {PRECISIONS[precision]:g}"
    else:
        verdict = "yes" if rates else f"the numbers do; {ended}"
    shown = "" if difference is None else f"{difference:.1e}"
    return [network, precision, shown, *cells, verdict], verdict == "yes"


def chosen_backend(backends: Sequence[str], cpu: bool, deadline: float) -> tuple[str, Message]:
    """Return the first backend that has a device, and what it says of it.

    Exits with status 1 and one line if none has.
    """
    reasons = []
    for backend in backends:
        if importlib.util.find_spec(backend) is None:
            reasons.append(f"{backend} is not installed")
            continue
        step = {"step": "device", "backend": backend}
        said: Message = {}
        for message in ask(step, cpu, deadline - time.monotonic()):
            said |= message
        if said.get("device"):
            return backend, said
        reason = said.get("error") or said.get("ended") or "sees none"
        reasons.append(f"{backend} {said.get('version', '')}: {reason}".replace(" :", ":"))
    hint = "" if cpu else " --cpu runs the check on the CPU."
    what = "no backend works" if cpu else "no GPU"
    print(f"check_gpu: {what}: {'; '.join(reasons)}.{hint}", file=sys.stderr)
    sys.exit(1)


def main() -> int:
    """Print the table and return the exit status."""
    arguments = parse_arguments()
    deadline = STARTED + arguments.seconds
    backends = [arguments.backend] if arguments.backend else list(GPU_OF)
    backend, device = chosen_backend(backends, arguments.cpu, deadline)
    print(
        f"{device['device']}: {backend} {device['version']}, Keras {device['keras']}, "
        f"Python {sys.version.split()[0]}; rows a second by batch, in {arguments.seconds:g} s",
        flush=True,
    )
    common = {"backend": backend, "records": str(arguments.records)}

    def progress(what: str) -> None:
        left = deadline - time.monotonic()
        print(f"  {what} ({left:.0f} s left)", file=sys.stderr, flush=True)

    titles = ["network", "precision", "difference", *map(str, arguments.batches), "works"]
    progress("golden records")
    seconds = (deadline - time.monotonic()) * REPLAY_SHARE
    messages = ask({"step": "replay", **common}, arguments.cpu, seconds)
    results = [replayed_row(messages, len(arguments.batches))]
    pairs = [(n, p) for n in arguments.networks for p in arguments.precisions]
    for place, (network, precision) in enumerate(pairs):
        progress(f"{network} in {precision}")
        step = {
            "step": "measure",
            **common,
            "network": network,
            "precision": precision,
            "batches": arguments.batches,
        }
        # Time that a step leaves goes to those after it.
        share = (deadline - time.monotonic()) / (len(pairs) - place)
        messages = ask(step, arguments.cpu, share)
        results.append(measured_row(network, precision, messages, arguments.batches))
    rows = [[*row[:2], device["device"], *row[2:]] for row, _ in results]
    print(table([[*titles[:2], "device", *titles[2:]], *rows]))
    return 0 if all(works for _, works in results) else 1


def parse_arguments() -> argparse.Namespace:
    names = {
        "description": __doc__.splitlines()[0],
        "epilog": "Exit status: 0 if all works, 1 if something does not or there is no GPU.",
    }
    parser = argparse.ArgumentParser(**names)
    add = parser.add_argument
    default = ROOT / "tests" / "golden"
    add("records", nargs="?", type=Path, default=default, help=f"golden records ({default})")
    add("--cpu", action="store_true", help="run everything on the CPU, to try the check")
    add("--backend", choices=GPU_OF, default=os.environ.get("KERAS_BACKEND") or None)
    add("--networks", type=listed(str), default=NETWORKS, help="names of records to measure")
    add("--precisions", type=listed(str), default=tuple(PRECISIONS))
    add("--batches", type=listed(int), default=BATCHES)
    add("--seconds", type=float, default=300, help="when to end (default: 300)")
    arguments = parser.parse_args()
    if not arguments.records.exists():
        parser.error(f"there is no file or folder {arguments.records}")
    if arguments.backend not in (None, *GPU_OF):
        parser.error(f"KERAS_BACKEND is {arguments.backend!r}, not one of {', '.join(GPU_OF)}")
    unknown = [name for name in arguments.precisions if name not in PRECISIONS]
    if unknown:
        parser.error(f"there is no precision {unknown[0]!r}: {', '.join(PRECISIONS)}")
    if min(arguments.batches) < 1 or sorted(set(arguments.batches)) != list(arguments.batches):
        parser.error("--batches must grow, from at least 1")
    return arguments


def listed(of: Callable[[str], Any]) -> Callable[[str], tuple[Any, ...]]:
    def values(text: str) -> tuple[Any, ...]:
        return tuple(of(part.strip()) for part in text.split(","))

    values.__name__ = f"list of {of.__name__}"
    return values


if __name__ == "__main__":
    if sys.argv[1:2] == ["--step"]:
        run_step(json.loads(sys.argv[2]))
    else:
        sys.exit(main())
