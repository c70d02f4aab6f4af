"""What the tests of the page share: how a test opens it, and axe-core, run in what is shown."""

from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import Page
from zoo_server import ROOT

Visit = Callable[..., Page]

AXE = ROOT / "page" / "node_modules" / "axe-core" / "axe.min.js"


def violations(page: Page) -> list[str]:
    """Return what axe-core finds in the page as it is shown now: the rule, and the elements."""
    page.evaluate(Path(AXE).read_text(encoding="utf-8"))
    result = page.evaluate("() => axe.run({ resultTypes: ['violations'] })")
    return [
        f"{rule['id']}: {rule['help']}: {' | '.join(node['html'][:160] for node in rule['nodes'])}"
        for rule in result["violations"]
    ]


def assert_accessible(page: Page) -> None:
    """Check the page in both colour schemes."""
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        broken = violations(page)
        assert not broken, f"{scheme}:\n" + "\n".join(broken)
    page.emulate_media(color_scheme="light")
