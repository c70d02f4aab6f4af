"""Writes the types of the service's requests and answers for the page, from its OpenAPI document.

    python -m scripts.write_page_types

The tests compare the written file with what the routes say.
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from app.api.openapi_document import openapi_document
from app.main import create_app
from app.settings import Settings

PAGE = Path(__file__).resolve().parent.parent / "page"
TYPES = PAGE / "src" / "api" / "schema.d.ts"


def page_types() -> str:
    """Return the types, as openapi-typescript writes them."""
    with tempfile.TemporaryDirectory() as folder:
        app = create_app(Settings(home=Path(folder) / "home"))
        source = Path(folder) / "openapi.json"
        source.write_text(json.dumps(openapi_document(app)), encoding="utf-8")
        target = Path(folder) / "schema.d.ts"
        tools = os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"]))
        subprocess.run(
            ["npm", "run", "types", "--", str(source), "--output", str(target)],
            cwd=PAGE,
            env={**os.environ, "PATH": tools},
            stdout=subprocess.DEVNULL,
            check=True,
        )
        return target.read_text(encoding="utf-8")


if __name__ == "__main__":
    TYPES.write_text(page_types(), encoding="utf-8")
