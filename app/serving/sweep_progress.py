"""How far a sweep is: its rows by status, and what its builds were warned of."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, get_args

from pydantic import Field
from typing_extensions import TypedDict  # pydantic takes no other before Python 3.12

from model_zoo import RowStatus

# Different warnings that a sweep tells of; the rows of others are counted.
_WARNINGS = 50
# They quote names from the spec, which may be of any length.
_MAX_CHARACTERS = 1_000


class SweepWarningBody(TypedDict):
    """A warning of builds of a sweep."""

    message: str
    rows: Annotated[int, Field(description="How many rows have it.")]
    first: Annotated[int, Field(description="The first of them.")]


class SweepProgress:
    """Counts the rows of a sweep as they are traced."""

    def __init__(self) -> None:
        self.statuses: dict[RowStatus, int] = dict.fromkeys(get_args(RowStatus), 0)
        self.untold = 0
        self._warnings: dict[str, SweepWarningBody] = {}

    @classmethod
    def stored(cls, document: Mapping[str, Any]) -> "SweepProgress":
        """Return the progress of `to_dict`; of an empty document it is none yet."""
        progress = cls()
        progress.statuses |= document.get("statuses", {})
        progress.untold = document.get("untold", 0)
        progress._warnings = {each["message"]: each for each in document.get("warnings", ())}
        return progress

    def to_dict(self) -> dict[str, Any]:
        """Return the progress, JSON-ready."""
        return {"statuses": self.statuses, "warnings": self.warnings, "untold": self.untold}

    @property
    def rows(self) -> int:
        """How many rows are traced."""
        return sum(self.statuses.values())

    @property
    def warnings(self) -> list[SweepWarningBody]:
        """The warnings, that of the most rows first."""
        return sorted(self._warnings.values(), key=lambda each: (-each["rows"], each["first"]))

    def count(self, status: RowStatus, number: int, warnings: Sequence[str]) -> None:
        """Count a row."""
        self.statuses[status] += 1
        for message in dict.fromkeys(warning[:_MAX_CHARACTERS] for warning in warnings):
            if message in self._warnings:
                self._warnings[message]["rows"] += 1
            elif len(self._warnings) < _WARNINGS:
                self._warnings[message] = {"message": message, "rows": 1, "first": number}
            else:
                self.untold += 1
