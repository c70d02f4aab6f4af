"""The styles in which a build can be written as code."""

from collections.abc import Callable, Mapping

from model_zoo.errors import not_accepted
from model_zoo.reports.code.python_style import python_code
from model_zoo.reports.code.tf_slim_style import tf_slim_code
from model_zoo.spec import BuildSpec

CODE_STYLES: Mapping[str, Callable[[BuildSpec], str]] = {
    "python": python_code,
    "tf-slim": tf_slim_code,
}


def write_code(spec: BuildSpec, style: str) -> str:
    """Return the code of a spec in a style.

    Raises: OptionError for an unknown style; ZooError with a problem for each part of the spec that
    the style cannot express.
    """
    if style not in CODE_STYLES:
        raise not_accepted("style", style, CODE_STYLES)
    return CODE_STYLES[style](spec)
