"""Finds the browser that the tests, the benchmark and the pictures of the page drive."""

import shutil

# The first draws no window: the tests of the page take two thirds of the time.
BROWSERS = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")


def find_browser() -> str | None:
    """Return the path of an installed browser, or None."""
    return next(filter(None, map(shutil.which, BROWSERS)), None)
