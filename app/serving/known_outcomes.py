"""What specs came to, whatever sweep they were in: sweeps that overlap cost nothing twice."""

from collections import OrderedDict

from model_zoo import RowKey, RowOutcome

_MAX_OUTCOMES = 10_000
# With longer ones, what is kept would have no bound worth the name.
_MAX_CHARACTERS = 4_096


class KnownOutcomes:
    """The outcomes of the specs that were traced last.

    They live as long as the service: another release, or another version of an installed network,
    may come to others.
    """

    def __init__(self) -> None:
        self._outcomes: OrderedDict[RowKey, RowOutcome] = OrderedDict()

    def get(self, key: RowKey | None, *, predicted: bool) -> RowOutcome | None:
        """Return what a spec came to, or None if that is not known; with its gain if asked for."""
        outcome = None if key is None else self._outcomes.get(key)
        if outcome is None or key is None:
            return None
        if predicted and outcome.problem is None and outcome.predicted is None:
            return None
        self._outcomes.move_to_end(key)
        return outcome

    def add(self, key: RowKey | None, outcome: RowOutcome) -> None:
        """Keep what a spec came to."""
        problem = outcome.problem
        texts = [*outcome.warnings, *((problem["message"],) if problem else ())]
        if key is None or sum(map(len, texts)) > _MAX_CHARACTERS:
            return
        self._outcomes[key] = outcome
        if len(self._outcomes) > _MAX_OUTCOMES:
            self._outcomes.popitem(last=False)
