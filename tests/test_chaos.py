"""The scenarios of `make chaos`, with smaller numbers; how long things take is not asserted."""

import pytest

from benchmarks.chaos.clients import withheld_bodies
from benchmarks.chaos.run import GROUPS, run, unmet
from benchmarks.chaos.scenario import SHORT, Group
from benchmarks.chaos.subject import NoDiskError

pytestmark = pytest.mark.long


@pytest.mark.heavy
@pytest.mark.parametrize("group", GROUPS, ids=lambda group: group.name)
def test_what_must_hold_under_attack_holds(group: Group) -> None:
    try:
        facts = [(each.title, fact) for each in run(group, SHORT, {}) for fact in each.facts]
    except NoDiskError as error:
        pytest.skip(str(error))
    assert facts
    assert [(title, fact.text, fact.measured) for title, fact in facts if not fact.holds] == []


@pytest.mark.heavy
def test_a_limit_that_is_switched_off_is_missed() -> None:
    group = Group("bodies", [withheld_bodies])
    finding, _ = run(group, SHORT, {"MAX_BODIES_BYTES": str(2**31)})
    assert [each.text for each in unmet([finding]) if each in finding.facts] == [
        "No process grows by more than 192 MiB"
    ]
