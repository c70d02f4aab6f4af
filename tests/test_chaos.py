"""The scenarios of `make chaos`, with smaller numbers; how long things take is not asserted."""

import pytest

from benchmarks.chaos.run import GROUPS, run
from benchmarks.chaos.scenario import SHORT, Group
from benchmarks.chaos.subject import NoDiskError


@pytest.mark.heavy
@pytest.mark.parametrize("group", GROUPS, ids=lambda group: group.name)
def test_what_must_hold_under_attack_holds(group: Group) -> None:
    try:
        facts = [(each.title, fact) for each in run(group, SHORT, {}) for fact in each.facts]
    except NoDiskError as error:
        pytest.skip(str(error))
    assert facts
    assert [(title, fact.text, fact.measured) for title, fact in facts if not fact.holds] == []
