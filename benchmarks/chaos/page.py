"""The page about chaos: what was done to the service, and what held."""

from collections.abc import Iterator, Mapping, Sequence

from benchmarks.chaos.scenario import Finding
from benchmarks.serving.report import machine, requirement_rows


def page(findings: Sequence[Finding], seconds: float, settings: Mapping[str, str]) -> str:
    """Return the whole page."""
    return "\n".join(_lines(findings, seconds, settings)) + "\n"


def _lines(
    findings: Sequence[Finding], seconds: float, settings: Mapping[str, str]
) -> Iterator[str]:
    every = [each for finding in findings for each in finding.requirements]
    yield "# Chaos"
    yield ""
    yield (
        f"`make chaos` writes this page. It ran {seconds:.0f} s on {machine()}. Each scenario "
        "attacks a running `python -m app` from outside. Meanwhile honest clients read a summary, "
        "make a build that is there, and send a tensor and a picture, over and over; their answers "
        "are compared with those before the attack. A process of its own asks `/healthz` every "
        "50 ms, and the peak memory of each process is read from Linux; growth, in MiB, counts "
        "from the start of the scenario. All other clients are in one process, which shares the "
        "cores."
    )
    if settings:
        yield ""
        changed = ", ".join(f"`ZOO_{name}={value}`" for name, value in settings.items())
        yield f"The service was run with {changed}."
    yield ""
    met = sum(each.holds for each in every)
    yield f"{met} of {len(every)} requirements are met."
    for finding in findings:
        yield ""
        yield f"## {finding.title}"
        yield ""
        yield finding.what
        if finding.requirements:
            yield ""
            yield from requirement_rows(finding.requirements)
