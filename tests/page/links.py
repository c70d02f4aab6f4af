"""Links to the page that hold a whole spec."""

import base64
import json
import zlib
from typing import Any


def spec_link(spec: dict[str, Any], layer: str | None = None) -> str:
    """Return the fragment that opens the spec: raw deflate, base64url without padding."""
    packer = zlib.compressobj(9, wbits=-15)
    packed = packer.compress(json.dumps(spec).encode()) + packer.flush()
    text = base64.urlsafe_b64encode(packed).decode().rstrip("=")
    return f"#s={text}" + (f"&layer={layer}" if layer else "")
