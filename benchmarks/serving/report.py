"""The run as Markdown."""

import os
import platform
from collections.abc import Iterable, Iterator
from importlib.metadata import version
from pathlib import Path

from benchmarks.serving.compare import AGREEMENT, Point, Rounds
from benchmarks.serving.requirements import RATE_CONCURRENCY, Requirement, Run
from benchmarks.serving.workload import FORMS, TITLES, picture

_PINS = Path(__file__).with_name("peers")
_PEERS = ("litserve", "bentoml", "mlserver")


def report(run: Run, checked: Iterable[Requirement], engine: str | None) -> str:
    """Return the whole page."""
    parts = [
        ["# Serving benchmark", "", *_setting(run, engine)],
        ["## Requirements", "", *requirement_rows(checked)],
        *(_comparison(run, network) for network in run.plan.networks),
        *(_in_process(run, network) for network in run.plan.networks),
        ["## Cold start", "", *_starts(run)],
    ]
    return "\n\n".join("\n".join(part) for part in parts) + "\n"


def _setting(run: Run, engine: str | None) -> Iterator[str]:
    plan = run.plan
    peers = ", ".join(f"{name} {_pinned(name)}" for name in _PEERS)
    computed = engine or "a `tf.function` of the Keras model, FastAPI with Keras's own `predict`"
    yield (
        f"`make bench-serve` writes this page: one run, one machine, one client. {machine()}. "
        f"TensorFlow {version('tensorflow')}, ONNX Runtime {version('onnxruntime')}, {peers}, "
        f"FastAPI {version('fastapi')}."
    )
    yield ""
    yield (
        "Every server has the same weights (random, seed 0) and one network at a time. The "
        "client shares their cores. The peers compute with "
        f"{computed}, and batch up to eight requests if they can; this service runs with its "
        f"defaults. A picture is a JPEG file of 500 x 375 pixels and {len(picture()):,} bytes; the "
        "answer is the five most probable classes. A tensor is float32; the answer is the logits. "
        "MLServer gets both in base64, because it reads no binary tensors over HTTP. Before it is "
        f"timed, each server's answer is compared with the output in process ({AGREEMENT:g} of "
        f"the largest value). All run at once, and take turns at each point, {plan.rounds} rounds "
        f"of {plan.seconds:g} s after {plan.warm_up_s:g} s to warm up; a figure is the median of "
        "the rounds."
    )
    yield ""
    yield (
        "The bare server is the least that Python allows: raw ASGI around one ONNX Runtime "
        "session in the same process, without checks or batches. It computes in the event loop, "
        "in a thread, or in as many one-thread lanes as there are cores."
    )


def machine() -> str:
    """Return the cores, the processor and the Python version."""
    model = platform.processor() or platform.machine()
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            model = line.partition(":")[2].strip()
    return f"{len(os.sched_getaffinity(0))} cores of {model}, Python {platform.python_version()}"


def _pinned(name: str) -> str:
    lines = (_PINS / f"{name}.txt").read_text(encoding="utf-8").splitlines()
    (pin,) = (line.partition("==")[2] for line in lines if line.startswith(f"{name}=="))
    return pin


def requirement_rows(checked: Iterable[Requirement]) -> Iterator[str]:
    """Return the table of requirements."""
    yield "| requirement | measured | met |"
    yield "|---|---|---|"
    for each in checked:
        yield f"| {each.text} | {each.measured} | {'yes' if each.holds else '**no**'} |"


def _comparison(run: Run, network: str) -> list[str]:
    lines = [f"## {TITLES[network]}", ""]
    lines += [
        "The last two columns are ratios: this service's requests/s to the row's, and the row's p99"
    ]
    lines += ["to this service's.", ""]
    lines += [
        "| request | concurrent | server | requests/s | p50 ms | p99 ms | errors "
        "| requests/s | p99 |",
        "|---|--:|---|--:|--:|--:|--:|--:|--:|",
    ]
    for point in run.points:
        if point.network == network:
            lines += _point_rows(run, point)
    return lines


def _point_rows(run: Run, point: Point) -> Iterator[str]:
    ours = run.ours.points.get(point)
    start = f"| {FORMS[point.form]} | {point.concurrency} |"
    for name, result in run.results.items():
        measured = result.points.get(point)
        if measured is None:
            yield f"{start} {name} | **not measured** | | | | | |"
            continue
        yield (
            f"{start} {name} | {measured.rate:.1f} | {measured.percentile(0.5):.1f} "
            f"| {measured.percentile(0.99):.1f} | {measured.errors} |{_ratios(ours, measured)}"
        )
    if point.concurrency == 1:
        single = run.in_process[point.network].single(point.form)
        rate = f"{1e3 / single.p50_ms:.1f}"
        yield f"{start} in process | {rate} | {single.p50_ms:.1f} | {single.p99_ms:.1f} | | | |"
    if point.concurrency == RATE_CONCURRENCY:
        ratio = f"{ours.rate / run.peak_rate(point):.2f}" if ours else ""
        yield f"{start} in process, peak | {run.peak_rate(point):.1f} | | | | {ratio} | |"


def _ratios(ours: Rounds | None, measured: Rounds) -> str:
    if ours is None or ours is measured or not measured.rate:
        return " | |"
    rate, p99 = ours.rate / measured.rate, measured.percentile(0.99) / ours.percentile(0.99)
    return f" {rate:.2f} | {p99:.2f} |"


def _in_process(run: Run, network: str) -> list[str]:
    first, again = run.in_process[network], run.again[network]
    lines = [f"## {TITLES[network]} in process", ""]
    lines += [f"The worker chose {first.worker_engine}. One call at a time:", ""]
    lines += ["| request | engine | p50 ms | p99 ms | p50 ms, after the servers |"]
    lines += ["|---|---|--:|--:|--:|"]
    later = {(each.form, each.engine): f"{each.p50_ms:.1f}" for each in again.singles}
    lines += [
        f"| {FORMS[each.form]} | {each.engine} | {each.p50_ms:.1f} | {each.p99_ms:.1f} "
        f"| {later.get((each.form, each.engine), '')} |"
        for each in first.singles
    ]
    lines += ["", "Concurrent calls:", ""]
    lines += ["| request | engine | split | batch | rows/s | rows/s, after the servers |"]
    lines += ["|---|---|---|--:|--:|--:|"]
    for way, rate in first.rates.items():
        best = "**" if way == first.fastest(way.form)[0] else ""
        after = f"{again.rates[way]:.1f}" if way in again.rates else ""
        lines.append(
            f"| {FORMS[way.form]} | {way.engine} | {way.split} | {way.batch} "
            f"| {best}{rate:.1f}{best} | {after} |"
        )
    return lines


def _starts(run: Run) -> Iterator[str]:
    if run.cold_start is not None:
        cold = run.cold_start
        yield (
            f"This service answers `POST /v1/builds` and the summary of Inception v3 after "
            f"{cold.summary_s:.2f} s, is ready after {cold.ready_s:.2f} s, answers a first tensor "
            f"with MobileNet v1 after {cold.answer_s:.2f} s, then takes {cold.memory_mb:.0f} MB "
            "(PSS of all processes); in another start, it answers a first tensor with VGG-16 after "
            f"{cold.large_answer_s:.2f} s (medians of three starts). Time to each server's first "
            "answer in the comparison:"
        )
        yield ""
    yield "| server | " + " | ".join(TITLES[network] for network in run.plan.networks) + " |"
    yield "|---|" + "--:|" * len(run.plan.networks)
    for name, result in run.results.items():
        cells = [
            f"{result.first_answer_s[network]:.1f} s" if network in result.first_answer_s else ""
            for network in run.plan.networks
        ]
        yield f"| {name} | " + " | ".join(cells) + " |"
