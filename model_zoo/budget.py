"""The limits on what a build may cost."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from model_zoo.errors import BudgetError, Problem


@dataclass(frozen=True, slots=True)
class Budget:
    """What a build may cost; None is no limit. `setting_prefix` spells a limit in messages.

    Multiply-adds and activations are those of one example, activations at their peak.
    """

    max_parameters: int | None = None
    max_multiply_adds: int | None = None
    max_activation_bytes: int | None = None
    max_layers: int | None = None
    max_scopes: int | None = None
    setting_prefix: str = ""

    def check_scopes(self, count: int, what: str = "build", pointer: str = "/scopes") -> None:
        """Raises: BudgetError if there are too many scope levels."""
        self._check({"max_scopes": ("levels", count)}, what, pointer)

    def check(self, totals: Mapping[str, object]) -> None:
        """Raises: BudgetError with a problem for each limit that a summary's totals exceed."""
        self._check(
            {
                "max_parameters": ("parameters", totals["parameters"]),
                "max_multiply_adds": ("multiply-adds", totals["multiply_adds"]),
                "max_activation_bytes": (
                    "bytes of activations at their peak",
                    totals["peak_activation_bytes"],
                ),
                "max_layers": ("layers", totals["layers"]),
            }
        )

    def _check(
        self, figures: Mapping[str, tuple[str, Any]], what: str = "build", pointer: str = ""
    ) -> None:
        problems = []
        for name, (unit, figure) in figures.items():
            limit = getattr(self, name)
            if limit is not None and figure > limit:
                setting = f"{self.setting_prefix}{name}"
                setting = setting.upper() if self.setting_prefix else setting
                unit = unit.removesuffix("s") if figure == 1 else unit
                problems.append(
                    Problem(
                        f"This {what} has {figure} {unit}; the limit is {limit} ({setting}).",
                        pointer,
                        figure,
                    )
                )
        if problems:
            raise BudgetError(*problems)
