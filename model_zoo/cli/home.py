"""`model-zoo home`: back up the home of a service, restore it, and upgrade its database."""

import argparse
import sys
from pathlib import Path
from typing import Any

from model_zoo.cli.common import add_home, progress
from model_zoo.cli.service import import_service


def add_home_commands(parser: argparse.ArgumentParser) -> None:
    """Add the commands to the parser of `model-zoo home`."""
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    backup = commands.add_parser("backup", help="copy a home, while its service runs as well")
    backup.add_argument("target", metavar="TARGET", type=Path, help="a new or empty folder")
    add_home(backup)
    backup.set_defaults(run=_backup)

    restore = commands.add_parser("restore", help="make a home of a backup")
    restore.add_argument("source", metavar="SOURCE", type=Path, help="the folder of a backup")
    add_home(restore)
    restore.set_defaults(run=_restore)

    upgrade = commands.add_parser(
        "upgrade", help="give a database of an earlier release, or a new one, today's tables"
    )
    add_home(upgrade)
    upgrade.set_defaults(run=_upgrade)


def _backup(options: argparse.Namespace) -> int:
    service = import_service("store.backups")
    with progress(f"backing up {options.home}"):
        copied = service.back_up(options.home, options.target)
    for checkpoint_id in copied.missing:
        print(
            f"warning: {options.home} has builds with weights of {checkpoint_id}, and not these "
            "weights. Import their file again.",
            file=sys.stderr,
        )
    for digest in copied.missing_calibrations:
        print(
            f"warning: {options.home} has versions in int8 that the rows {digest} calibrate, and "
            "not these rows. PUT the versions again.",
            file=sys.stderr,
        )
    print(f"{options.target}: {_spell(copied)}")
    return 0


def _restore(options: argparse.Namespace) -> int:
    service = import_service("store.backups")
    with progress(f"restoring {options.source}"):
        copied = service.restore(options.source, options.home)
    print(f"{options.home}: {_spell(copied)}")
    return 0


def _upgrade(options: argparse.Namespace) -> int:
    print(import_service("store.opening").upgrade(options.home))
    return 0


def _spell(copied: Any) -> str:
    noun = "checkpoint" if copied.checkpoints == 1 else "checkpoints"
    files = f"{copied.checkpoints} imported {noun}"
    if copied.calibrations:
        noun = "calibration" if copied.calibrations == 1 else "calibrations"
        files += f" and {copied.calibrations} {noun}"
    return f"the database and {files}, {copied.bytes:,} bytes"
