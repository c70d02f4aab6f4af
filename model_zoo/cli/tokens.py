"""`model-zoo token`: make, list and revoke the tokens of a service."""

import argparse
import json
import os
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from model_zoo.cli.common import add_home
from model_zoo.cli.service import import_service
from model_zoo.errors import ZooError
from model_zoo.tables import aligned_table

_MAX_DAYS = 36_500
_FILE = "ZOO_TOKENS_FILE"


def add_token_commands(parser: argparse.ArgumentParser) -> None:
    """Add the commands to the parser of `model-zoo token`."""
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    add = commands.add_parser("add", help="make a token, and print it: it is shown this once")
    add.add_argument("name", metavar="NAME", help="what the log calls it: letters, digits, . _ -")
    add.add_argument(
        "--role",
        required=True,
        help="read, infer, build or admin: each includes those before it",
    )
    add.add_argument("--expires", metavar="DAYS", type=float, help="after which it is refused")
    add.add_argument("--requests-per-s", metavar="N", type=float, help="most requests a second")
    add.add_argument("--concurrency", metavar="N", type=int, help="most requests in progress")
    add.set_defaults(run=_add)

    listing = commands.add_parser("list", help="show the tokens: names, roles and limits")
    listing.add_argument("--format", choices=("text", "json"), default="text")
    listing.set_defaults(run=_list)

    revoke = commands.add_parser("revoke", help="remove a token; services notice within a second")
    revoke.add_argument("name", metavar="NAME")
    revoke.set_defaults(run=_revoke)

    for command in (add, listing, revoke):
        default = os.environ.get(_FILE)
        command.add_argument(
            "--file",
            type=Path,
            default=Path(default) if default else None,
            help=f"file of tokens ({_FILE}; {default or 'tokens.json in the home'})",
        )
        add_home(command)


def _add(options: argparse.Namespace) -> int:
    service = _service()
    path = _path(service, options)
    is_new = not path.exists()
    expires = None if options.expires is None else _after(options.expires)
    token = service.add_token(
        path,
        options.name,
        options.role,
        expires=expires,
        requests_per_s=options.requests_per_s,
        concurrency=options.concurrency,
    )
    print(token, flush=True)
    print(f"{path} has its digest; the token itself is not shown again.", file=sys.stderr)
    if is_new:
        print("A service that runs already, without tokens, needs a restart.", file=sys.stderr)
    return 0


def _after(days: float) -> datetime:
    if not 0 < days <= _MAX_DAYS:
        raise ZooError(f"--expires takes days above 0, at most {_MAX_DAYS}; received {days:g}.")
    return datetime.now(UTC).replace(microsecond=0) + timedelta(days=days)


def _list(options: argparse.Namespace) -> int:
    service = _service()
    records, _ = service.read_tokens(_path(service, options))
    now = datetime.now(UTC)
    rows = [
        {
            "name": record.name,
            "role": record.role,
            "created": _spell(record.created),
            "expires": record.expires and _spell(record.expires),
            "expired": record.is_expired(now),
            "requests_per_s": record.requests_per_s,
            "concurrency": record.concurrency,
        }
        for record in records
    ]
    if options.format == "json":
        print(json.dumps(rows, indent=2))
        return 0
    header = ("name", "role", "created", "expires", "requests/s", "concurrency")
    cells = [
        (
            str(row["name"]),
            str(row["role"]),
            str(row["created"]),
            f"{row['expires'] or 'never'}{' (expired)' if row['expired'] else ''}",
            "no limit" if row["requests_per_s"] is None else f"{row['requests_per_s']:g}",
            "no limit" if row["concurrency"] is None else str(row["concurrency"]),
        )
        for row in rows
    ]
    print("\n".join(aligned_table(header, cells, right=(4, 5))))
    return 0


def _revoke(options: argparse.Namespace) -> int:
    service = _service()
    path = _path(service, options)
    service.revoke_token(path, options.name)
    print(f"{path}: {options.name} is revoked.")
    return 0


def _spell(time: datetime) -> str:
    return time.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def _path(service: Any, options: argparse.Namespace) -> Path:
    path: Path = options.file or options.home / service.FILE_NAME
    return path


def _service() -> Any:
    return import_service("callers.token_file")
