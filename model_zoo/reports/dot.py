"""Texts in Graphviz's dot language."""

from collections.abc import Iterable


def quoted(lines: Iterable[str]) -> str:
    """Return a label of these lines, which shows each as it is.

    Graphviz reads escapes and entities in a label.

    >>> print(quoted(['a"b', "\\\\N &lt;"]))
    "a\\"b\\n\\\\N &amp;lt;"
    """
    return '"' + "\\n".join(map(_escaped, lines)) + '"'


def _escaped(text: str) -> str:
    text = text.replace("\\", "\\\\").replace('"', '\\"').replace("&", "&amp;")
    return text.replace("\r", "").replace("\n", "\\n")
