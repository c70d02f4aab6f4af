"""What the tests of the page share: how a test opens it, and axe-core, run in what is shown."""

import base64
import json
import zlib
from collections.abc import Callable, Sequence
from typing import Any

from playwright.sync_api import Page
from zoo_server import ROOT

Visit = Callable[..., Page]
Spec = dict[str, Any]

AXE = ROOT / "page" / "node_modules" / "axe-core" / "axe.min.js"
# The rules of axe-core on colours that are on by default. The schemes differ in colours alone.
COLOUR_RULES = ("color-contrast", "link-in-text-block")


def link(spec: object, layer: str | None = None) -> str:
    """Return the fragment of the page's address that opens a spec, and selects a layer."""
    return f"#s={pack_spec(spec)}" + (f"&layer={layer}" if layer else "")


def violations(page: Page, rules: Sequence[str] | None = None) -> list[str]:
    """Return what axe-core finds in the page as it is shown now: the rule, and the elements.

    Without `rules`, it applies all that are on by default.
    """
    if not page.evaluate("() => 'axe' in window"):
        page.evaluate(AXE.read_text(encoding="utf-8"))
    options = {"resultTypes": ["violations"], **({"runOnly": list(rules)} if rules else {})}
    result = page.evaluate("(options) => axe.run(options)", options)
    return [
        f"{rule['id']}: {rule['help']}: {' | '.join(node['html'][:160] for node in rule['nodes'])}"
        for rule in result["violations"]
    ]


def assert_accessible(page: Page) -> None:
    """Check the page with all rules, and its colours in the dark scheme too."""
    for scheme, rules in (("light", None), ("dark", COLOUR_RULES)):
        page.emulate_media(color_scheme=scheme)
        broken = violations(page, rules)
        assert not broken, f"{scheme}:\n" + "\n".join(broken)
    page.emulate_media(color_scheme="light")


def pack_spec(spec: object) -> str:
    """Return the text of #s= in a link to the page, as docs/page.md tells Python to make it."""
    packed = zlib.compress(json.dumps(spec).encode(), wbits=-15)
    return base64.urlsafe_b64encode(packed).decode().rstrip("=")


def unpack_spec(url: str) -> Any:
    """Return the spec in a link to the page, as docs/page.md tells Python to read it."""
    packed = url.partition("#s=")[2].partition("&")[0]
    return json.loads(zlib.decompress(base64.urlsafe_b64decode(packed + "=="), wbits=-15))
