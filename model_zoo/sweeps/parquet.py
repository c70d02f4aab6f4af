"""The rows of a sweep as Parquet; replaced by the merge."""

from collections.abc import Iterable, Sequence

from model_zoo.sweeps.rows import SweepRowDocument


def sweep_parquet(rows: Iterable[SweepRowDocument], places: Sequence[str]) -> bytes:
    raise NotImplementedError
