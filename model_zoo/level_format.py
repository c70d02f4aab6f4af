"""Levels as a request writes them: of its own, or a saved scope by name."""

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BaseModel, Discriminator, Field, JsonValue, Tag

from model_zoo.patterns import Names, normalized_patterns
from model_zoo.saved_scopes import IncludeLevel, SavedLevel
from model_zoo.weight_sources import Part, Patterns

# pydantic describes each wrong item of a list, unless the list is too long. So each list has a
# limit, here far above what a spec may have (`Budget.max_scopes`, and the ops there are).
MAX_LEVELS = 1000
_MAX_OPS = 1000


class ScopeLevel(Part):
    """One `arg_scope`: the ops it reaches, and their arguments."""

    ops: Annotated[list[str], Field(min_length=1, max_length=_MAX_OPS)] = Field(
        description="Scoped ops by name; see /v1/ops.", examples=[["conv2d", "separable_conv2d"]]
    )
    args: dict[str, JsonValue] = Field(
        description="Arguments by name; functions by name, or an object of name and arguments.",
        examples=[{"activation_fn": "relu6"}],
    )
    layers: Annotated[Patterns, Field(min_length=1)] = Field(
        default=["*"],
        description="The layers whose calls the level reaches, by the name that the explanation "
        "shows; * stands for any characters, `/` among them.",
        examples=[["InceptionV3/Mixed_5b/*"]],
    )
    except_: Patterns = Field(
        default=[],
        alias="except",
        description="Layers among those that the level leaves alone.",
        examples=[["*/Conv2d_1c_1x1*"]],
    )
    force: bool = Field(
        default=False,
        description="Beat what the network itself passes to the calls and sets in its own scopes.",
    )

    def where(self) -> Names | None:
        """Return the layers that the level is limited to; None for a level without a limit."""
        layers = normalized_patterns(self.layers)
        excluded = normalized_patterns(self.except_)
        return None if layers == ["*"] and not excluded else Names(layers, excluded)


def _level_kind(value: Any) -> str:
    keys = type(value).model_fields if isinstance(value, BaseModel) else value
    keys = keys if isinstance(keys, Mapping) else {}
    return next((key for key in ("include", "saved") if key in keys), "ops")


LEVEL_MODELS: Mapping[str, type[Part]] = {
    "ops": ScopeLevel,
    "include": IncludeLevel,
    "saved": SavedLevel,
}
_Level = Annotated[
    Annotated[ScopeLevel, Tag("ops")]
    | Annotated[IncludeLevel, Tag("include")]
    | Annotated[SavedLevel, Tag("saved")],
    Discriminator(_level_kind),
]
RequestedLevels = Annotated[list[_Level], Field(max_length=MAX_LEVELS)]
