"""axe-core, run in the page that a test has opened."""

from pathlib import Path

from playwright.sync_api import Page
from zoo_server import ROOT

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
        assert violations(page) == [], scheme
    page.emulate_media(color_scheme="light")
