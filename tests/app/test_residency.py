"""Which models stay in memory, and which leave to make room."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from app.compute.engine_process import EngineProcess, Resting
from app.compute.local_engine import best_state
from app.compute.residency import Residency
from app.compute.supervisor import Supervisor
from app.engine import ModelRef, ModelState
from app.settings import Settings


async def no_process() -> Any:
    raise AssertionError


PROCESS, OTHER = (
    EngineProcess(Supervisor("worker", no_process, Settings()), Resting(), lambda _: False)
    for _ in range(2)
)


def ref(name: str, size: int = 10, *, pinned: bool = False) -> ModelRef:
    return ModelRef(name, {}, {}, estimated_bytes=size, pinned=pinned)


def bring(residency: Residency, model: ModelRef, size: int | None = None) -> None:
    residency.begin_load(model, PROCESS)
    bytes_now = model.estimated_bytes if size is None else size
    state = ModelState("ready", size_bytes=bytes_now, warmed=(1,))
    residency.finish_load(model, state, 0.0)


def test_the_least_recently_used_leaves_first() -> None:
    residency = Residency(30)
    for name in "abc":
        bring(residency, ref(name))
    residency.use(ref("a")).in_use -= 1
    residency.begin_load(ref("d"), PROCESS)
    victim = residency.victim(())
    assert victim is not None
    assert victim.ref.build == "b"


def test_models_that_load_or_are_pinned_stay() -> None:
    residency = Residency(10)
    bring(residency, ref("pinned", pinned=True))
    residency.begin_load(ref("loading"), PROCESS)
    assert residency.is_over()
    assert residency.victim(()) is None
    assert not residency.may_shrink


def test_one_in_use_leaves_only_where_none_is_idle() -> None:
    residency = Residency(20)
    for name in ("used", "idle"):
        bring(residency, ref(name))
    residency.use(ref("used"))
    residency.models.move_to_end(ref("used").key, last=False)
    residency.begin_load(ref("loading"), PROCESS)
    idle = residency.victim(())
    assert idle is not None
    assert idle.ref.build == "idle"
    residency.finish_unload(idle.ref, "room")
    residency.begin_load(ref("another"), PROCESS)
    used = residency.victim(())
    assert used is not None
    assert used.ref.build == "used"


def test_a_new_model_stays_until_what_waits_for_it_has_been_computed() -> None:
    residency = Residency(10)
    bring(residency, ref("new"))
    residency.begin_load(ref("next"), PROCESS)
    assert residency.victim({ref("new").key}) is None
    residency.use(ref("new")).in_use -= 1
    assert residency.victim({ref("new").key}) is not None


def test_the_measured_size_counts_and_is_remembered() -> None:
    residency = Residency(100)
    bring(residency, ref("a"), size=70)
    assert residency.bytes == 70
    residency.finish_unload(ref("a"), "room")
    assert residency.bytes == 0
    assert residency.evictions == {"room": 1}
    residency.begin_load(ref("a"), PROCESS)
    assert residency.bytes == 70


def test_a_single_model_may_be_larger_than_the_limit() -> None:
    residency = Residency(5)
    residency.begin_load(ref("large"), PROCESS)
    assert not residency.is_over()


def test_a_failure_is_told_until_the_next_try() -> None:
    residency = Residency(5)
    assert residency.state(ref("a")).reason == "not loaded: its next request loads it"
    residency.begin_load(ref("a"), PROCESS)
    assert residency.state(ref("a")).state == "loading"
    residency.fail_load(ref("a"), "no such checkpoint")
    assert residency.state(ref("a")) == ModelState("unavailable", "no such checkpoint", failed=True)
    assert residency.batch_rows(ref("a")) == 0
    bring(residency, ref("a"))
    assert residency.state(ref("a")).state == "ready"
    assert residency.batch_rows(ref("a")) == 1


@given(st.lists(st.tuples(st.sampled_from("abcdefgh"), st.integers(1, 60)), max_size=60))
def test_the_budget_holds_whatever_is_asked_for(steps: list[tuple[str, int]]) -> None:
    residency = Residency(100)
    for name, size in steps:
        if residency.find(ref(name)) is None:
            residency.begin_load(ref(name, size), PROCESS)
            while residency.is_over():
                victim = residency.victim(())
                assert victim is not None  # nothing is in use here
                assert victim.ref.build != name
                residency.finish_unload(victim.ref, "room")
            assert residency.bytes <= 100
            bring(residency, ref(name, residency.models[ref(name).key].size_bytes))


def test_a_process_that_ends_takes_its_own_models_along() -> None:
    residency = Residency(100)
    bring(residency, ref("own"))
    residency.begin_load(ref("other"), OTHER)
    residency.clear(PROCESS)
    assert [model.ref.build for model in residency.models.values()] == ["other"]


def test_all_states_are_those_of_the_models_that_there_are_or_that_failed() -> None:
    residency = Residency(100)
    bring(residency, ref("ready"))
    residency.models[f"{ref('ready').key} on trial"] = residency.models[ref("ready").key]
    residency.begin_load(ref("loading"), PROCESS)
    residency.begin_load(ref("failed"), PROCESS)
    residency.fail_load(ref("failed"), "no such checkpoint")
    refs = [ref(name) for name in ("ready", "loading", "failed")]
    assert residency.states() == {each.key: residency.state(each) for each in refs}


def test_of_several_workers_the_best_state_counts() -> None:
    missing, loading = ModelState("unavailable"), ModelState("loading")
    failed = ModelState("unavailable", "no memory", failed=True)
    assert best_state([missing, failed]) == failed
    assert best_state([failed, loading]) == loading
    assert best_state([loading, ModelState("ready"), missing]).state == "ready"
