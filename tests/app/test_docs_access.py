"""docs/access.md tells the truth: a token of each role is tried on every route.

`python tests/app/test_docs_access.py` writes its table of routes anew.
"""

import re
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient
from zoo_server import ROOT, NoEngine

from app.callers.roles import ROLES
from app.callers.token_file import add_token
from app.main import create_app
from app.settings import Settings

PAGE = ROOT / "docs" / "access.md"
HEADER = ("route", "without a token", *ROLES)
_TABLE = re.compile(r"(?m)^\| route \|.*\n(?:\|.*\n)+")
# What stands for the parameters of paths: nothing that is there.
NOTHING = {
    "a": "nothing",
    "b": "nothing",
    "build_id": "0" * 32,
    "name": "nothing",
    "sweep_id": "0" * 32,
    "version": "9",
    "weights_id": "0" * 64,
}


class Zoo:
    """A service with a token of each role."""

    def __init__(self, home: Path) -> None:
        tokens = {role: add_token(home / "tokens.json", role, role) for role in ROLES}
        self.headers: dict[str | None, dict[str, str]] = {None: {}}
        for role, token in tokens.items():
            self.headers[role] = {"Authorization": f"Bearer {token}"}
        app = create_app(Settings(home=home), lambda *_: NoEngine())
        self.client = TestClient(app, follow_redirects=False)

    def verdict(self, route: str, role: str | None) -> str:
        """Return what comes of a request: 401, 403, or yes."""
        method, template = route.split()
        path = template.format(**NOTHING)
        response = self.client.request(method, path, headers=self.headers[role])
        assert response.status_code < 500 or "ready" in path, response.text
        return str(response.status_code) if response.status_code in (401, 403) else "yes"


def operations(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return the operations of an OpenAPI document, by their methods and paths."""
    return {
        f"{method.upper()} {path}": operation
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    }


def tried(zoo: Zoo) -> list[tuple[str, ...]]:
    """Return the rows of the table, as the service answers."""
    routes = operations(zoo.client.get("/openapi.json").json())
    return [
        (f"`{route}`", *(zoo.verdict(route, role) for role in (None, *ROLES)))
        for route in sorted(routes, key=lambda route: route.split()[::-1])
    ]


def written(rows: list[tuple[str, ...]]) -> str:
    lines = [HEADER, ("---",) * len(HEADER), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines).replace("| --- ", "|---")


def on_page() -> list[tuple[str, ...]]:
    """Return the rows of the table as the page has it."""
    (table,) = _TABLE.findall(PAGE.read_text())
    lines = table.splitlines()
    assert tuple(lines[0].strip("| ").split(" | ")) == HEADER
    return [tuple(line.strip("| ").split(" | ")) for line in lines[2:]]


@pytest.fixture(scope="module")
def zoo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Zoo]:
    zoo = Zoo(tmp_path_factory.mktemp("home"))
    with zoo.client:
        yield zoo


def test_a_token_of_each_role_gets_on_every_route_what_the_table_says(zoo: Zoo) -> None:
    assert tried(zoo) == on_page()


def test_every_operation_names_the_least_role_that_the_table_lets_in(zoo: Zoo) -> None:
    document = zoo.client.get("/openapi.json").json()
    assert document["components"]["securitySchemes"]["bearer"]["scheme"] == "bearer"
    rows = {row[0].strip("`"): row[1:] for row in on_page()}
    for route, operation in operations(document).items():
        anonymous, *verdicts = rows[route]
        least = ROLES[verdicts.index("yes")]
        optional = [{}] if anonymous == "yes" else []
        assert operation["security"] == [{"bearer": [least]}, *optional], route
        assert {"401", "403", "429"} <= operation["responses"].keys()
        assert verdicts == ["403"] * ROLES.index(least) + ["yes"] * (4 - ROLES.index(least))


def test_without_access_control_every_operation_may_do_without_a_token(client: TestClient) -> None:
    for operation in operations(client.get("/openapi.json").json()).values():
        assert operation["security"][1:] == [{}]


def main() -> int:
    """Write the table anew."""
    with tempfile.TemporaryDirectory() as home:
        zoo = Zoo(Path(home))
        with zoo.client:
            table = written(tried(zoo))
    PAGE.write_text(_TABLE.sub(lambda _: table, PAGE.read_text()))
    return 0


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    sys.exit(main())
