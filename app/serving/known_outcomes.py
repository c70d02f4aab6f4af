"""What specs came to, whatever sweep they were in: sweeps that overlap cost nothing twice."""

from collections import OrderedDict

from model_zoo import RowOutcome

_MAX_OUTCOMES = 10_000
# With longer ones, what is kept would have no bound worth the name.
_MAX_CHARACTERS = 4_096

# The id of a build, whether its spec is strict, and a digest of how its levels are spelled and of
# what the sweep asks for: warnings say where the levels stand in the spec, which differs between a
# saved scope and the levels that it has.
OutcomeKey = tuple[str, bool, str]


class KnownOutcomes:
    """The outcomes of the specs that were traced last.

    They live as long as the service: another release, or another version of an installed network,
    may come to others.
    """

    def __init__(self) -> None:
        self._outcomes: OrderedDict[OutcomeKey, RowOutcome] = OrderedDict()

    def get(self, key: OutcomeKey) -> RowOutcome | None:
        """Return what a spec came to, or None if that is not known."""
        outcome = self._outcomes.get(key)
        if outcome is not None:
            self._outcomes.move_to_end(key)
        return outcome

    def add(self, key: OutcomeKey, outcome: RowOutcome) -> None:
        """Keep what a spec came to, unless it was refused: problems quote the spec as written."""
        if outcome.problem is not None or sum(map(len, outcome.warnings)) > _MAX_CHARACTERS:
            return
        self._outcomes[key] = outcome
        if len(self._outcomes) > _MAX_OUTCOMES:
            self._outcomes.popitem(last=False)
