"""A home that is locked, gone, full, or wanted by another service."""

import json
import os
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

from benchmarks.chaos.scenario import MIB, Finding, Group, Scale
from benchmarks.chaos.subject import Subject, started_subject
from benchmarks.chaos.watch import Watch, Writers, is_later, new_build, new_weights, spell
from benchmarks.serving.exchange import Answer, http_request

_DISK_MIB = 64


def locked_database(subject: Subject, scale: Scale) -> Finding:
    """Lock the database, as another program may."""
    finding = Finding(
        "The database is locked",
        "Another process holds the lock of writes while builds are asked for and made; "
        f"ZOO_STORE_TIMEOUT_S is {scale.store_timeout_s:g}.",
    )
    with Watch(subject) as watch:
        with closing(
            sqlite3.connect(subject.home / "builds.sqlite", isolation_level=None)
        ) as other:
            other.execute("BEGIN IMMEDIATE")
            began = time.perf_counter()
            refused = new_build(subject, 4000)
            refused_s = time.perf_counter() - began
            began = time.perf_counter()
            read = subject.get(f"/v1/builds/{subject.lenet}")
            read_s = time.perf_counter() - began
            watch.await_rounds(scale.rounds)
            other.rollback()
        made = new_build(subject, 4000)
    finding.fact("A write gets 503 with Retry-After", spell(refused)[:60], holds=is_later(refused))
    finding.fact("A read is answered meanwhile", spell(read)[:3], holds=read.status == 200)
    finding.fact("The write is accepted afterwards", spell(made)[:3], holds=made.status == 201)
    finding.within("The write is refused", refused_s, scale.store_timeout_s + 2)
    finding.within("The read is answered", read_s, 1)
    watch.report(finding)
    return finding


def vanished_home(subject: Subject, scale: Scale) -> Finding:
    """Take the home away and bring it back."""
    finding = Finding(
        "The home vanishes",
        "Its folder is moved away under writes, and back; then the service is restarted.",
    )
    writers = Writers(subject, 5000)
    writers.await_kept(scale.rounds)
    away = subject.home.with_name("away")
    subject.home.rename(away)
    acknowledged = [new_build(subject, 6000 + n) for n in range(scale.rounds)]
    health = subject.health()
    away.rename(subject.home)
    again_s = subject.await_ready()
    writers.await_kept(scale.rounds)
    writers.stop()
    refused = sum(map(is_later, acknowledged))
    finding.fact(
        "No write is acknowledged, all get 503 with Retry-After",
        f"{refused} of {len(acknowledged)}",
        holds=refused == len(acknowledged),
    )
    finding.fact(
        "The service says that it is not ready",
        f"ready: {health.get('ready')}",
        holds=health.get("ready") is False,
    )
    finding.within("It is ready again", again_s, 2)
    subject.server.process.terminate()
    subject.server.process.wait()
    subject.restart()
    writers.report(finding, when="after the restart")
    return finding


def second_service(subject: Subject, scale: Scale) -> Finding:
    """Start a second service on the home."""
    finding = Finding("A second service on the home", "It is started while the first one serves.")
    environment = {**os.environ, "ZOO_HOME": str(subject.home), "ZOO_PORT": "0"}
    with Watch(subject) as watch:
        second = subprocess.run(
            [sys.executable, "-m", "app"],
            env=environment,
            cwd=subject.folder,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        watch.await_rounds(1)
    lines = second.stderr.splitlines()
    finding.fact(
        "It ends with status 1 and one line",
        f"status {second.returncode}, {len(lines)} lines: {lines[0] if lines else ''}".replace(
            str(subject.home), "ZOO_HOME"
        ),
        holds=second.returncode == 1 and len(lines) == 1,
    )
    watch.report(finding)
    return finding


def backup(subject: Subject, scale: Scale) -> Finding:
    """Back up the home under writes, and serve what was restored."""
    finding = Finding(
        "A backup while the service writes",
        "`model-zoo home backup` runs while builds are made and weights arrive; then it is "
        "restored to a new home, which another service serves.",
    )
    writers = Writers(subject, 7000)
    writers.await_kept(2 * scale.rounds)
    before = list(writers.kept)
    other = subject.folder / "other"
    other.mkdir()
    saved = _model_zoo("backup", subject.folder / "backup", subject.home)
    writers.stop()
    restored = _model_zoo("restore", subject.folder / "backup", other / "home")
    finding.fact(
        "Both commands succeed",
        f"status {saved.returncode} and {restored.returncode}",
        holds=saved.returncode == restored.returncode == 0,
    )
    if not saved.returncode and not restored.returncode:
        with started_subject(other, subject.settings) as copy:
            lost = [path for path in before if copy.get(path).status != 200]
        finding.fact(
            "What was acknowledged before is in it",
            f"{len(lost)} of {len(before)} lost",
            holds=bool(before) and not lost,
        )
    return finding


def _model_zoo(verb: str, target: Path, home: Path) -> "subprocess.CompletedProcess[str]":
    command = [
        sys.executable,
        "-m",
        "model_zoo.cli",
        "home",
        verb,
        str(target),
        "--home",
        str(home),
    ]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def full_disk(subject: Subject, scale: Scale) -> Finding:
    """Fill the disk of the home."""
    finding = Finding(
        "The disk is full",
        f"The home is a disk of {_DISK_MIB} MiB; another program takes all its room, and gives it "
        "back.",
    )
    kept = [json.loads(new_build(subject, 8000 + n).body)["id"] for n in range(5)]
    with Watch(subject) as watch:
        filler = subject.home / "filler"
        _fill(filler)
        refused = [new_weights(subject, n, 100_000) for n in range(scale.rounds)]
        # Small ones may find room in the pages of the database.
        written = [new_build(subject, 9000 + n) for n in range(40)]
        deleted = _delete(subject, kept.pop())
        watch.await_rounds(scale.rounds)
        filler.unlink()
        afterwards = [new_weights(subject, 1, 100_000), new_build(subject, 10_000)]
    kept += [json.loads(each.body)["id"] for each in written if each.status == 201]
    lost = [each for each in kept if subject.get(f"/v1/builds/{each}").status != 200]
    later = sum(map(is_later, refused))
    finding.fact(
        "Uploads get 503 with Retry-After",
        f"{later} of {len(refused)}",
        holds=later == len(refused),
    )
    finding.fact(
        "Builds get 503 with Retry-After, once no page is free",
        f"{sum(map(is_later, written))} of {len(written)}",
        holds=any(map(is_later, written))
        and all(each.status == 201 or is_later(each) for each in written),
    )
    finding.fact("A build can be deleted", spell(deleted), holds=deleted.status == 204)
    finding.fact(
        "Both are accepted when there is room",
        ", ".join(spell(each)[:3] for each in afterwards),
        holds=all(each.status == 201 for each in afterwards),
    )
    finding.fact(
        "Nothing that was acknowledged is lost", f"{len(lost)} of {len(kept)} lost", holds=not lost
    )
    watch.report(finding)
    return finding


def _delete(subject: Subject, build: str) -> Answer:
    return subject.ask(http_request("DELETE", f"/v1/builds/{build}"))


def _fill(path: Path) -> None:
    with path.open("wb", buffering=0) as stream:
        for piece in (bytes(MIB), bytes(4096)):
            try:
                while stream.write(piece) == len(piece):
                    pass
            except OSError:
                continue


STORE = Group("store", (locked_database, second_service, backup, vanished_home))
DISK = Group("disk", (full_disk,), disk_mib=_DISK_MIB)
