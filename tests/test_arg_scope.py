"""Scope semantics: precedence, merging, saved scopes, refusals, isolation."""

import inspect
import threading
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model_zoo import (
    ScopeError,
    add_arg_scope,
    arg_scope,
    arg_scoped_arguments,
    current_arg_scope,
    has_arg_scope,
)
from model_zoo.provenance import recording


@add_arg_scope
def first(x: Any, a: int = 0, b: int = 0, c: int = 0) -> tuple[Any, int, int, int]:
    """Return what the call got."""
    return x, a, b, c


@add_arg_scope
def second(x: Any, a: int = 0, b: int = 0, *, d: int = 0) -> tuple[Any, int, int, int]:
    return x, a, b, d


@add_arg_scope
def anything(**kwargs: Any) -> dict[str, Any]:
    return kwargs


def undecorated(x: Any) -> Any:
    return x


def test_call_beats_inner_scope_beats_outer_scope_beats_default() -> None:
    with arg_scope([first], a=1, b=1), arg_scope([first], b=2):
        assert first("x") == ("x", 1, 2, 0)
        assert first("x", b=3) == ("x", 1, 3, 0)
    assert first("x") == ("x", 0, 0, 0)


def test_positional_argument_beats_scope() -> None:
    with arg_scope([first], a=1, b=2):
        assert first("x", 7) == ("x", 7, 2, 0)


def test_scope_of_several_ops_reaches_each() -> None:
    with arg_scope([first, second], a=1), arg_scope([second], a=2):
        assert first("x")[1] == 1
        assert second("x")[1] == 2


def test_required_argument_can_come_from_a_scope() -> None:
    with arg_scope([first], x="from scope"):
        assert first() == ("from scope", 0, 0, 0)  # type: ignore[call-arg]


def test_function_with_keyword_arguments_takes_any_name() -> None:
    with arg_scope([anything], whatever=1):
        assert anything(more=2) == {"whatever": 1, "more": 2}


def test_dict_value_is_replaced_as_a_whole() -> None:
    with arg_scope([anything], params={"a": 1, "b": 2}), arg_scope([anything], params={"a": 3}):
        assert anything() == {"params": {"a": 3}}


def test_saved_scope_replaces_what_is_active() -> None:
    with arg_scope([first], a=1) as saved:
        pass
    with arg_scope([first], a=5, b=5), arg_scope(saved):
        assert first("x") == ("x", 1, 0, 0)


def test_scope_saved_inside_another_holds_both() -> None:
    with arg_scope([first], a=1), arg_scope([second], a=2) as saved:
        pass
    assert {f.__name__: dict(v) for f, v in saved.items()} == {
        "first": {"a": 1},
        "second": {"a": 2},
    }
    with arg_scope(saved):
        assert first("x")[1] == 1


def test_empty_mapping_clears() -> None:
    with arg_scope([first], a=1), arg_scope({}):
        assert first("x")[1] == 0
        assert len(current_arg_scope()) == 0


def test_plain_mapping_is_entered_as_a_saved_scope() -> None:
    with arg_scope([first], b=9), arg_scope({first: {"a": 4}}):
        assert first("x") == ("x", 4, 0, 0)


def test_scope_decorates_a_function_and_merges_at_each_call() -> None:
    @arg_scope([first], a=1)
    def network() -> tuple[Any, int, int, int]:
        return first("x")

    assert network() == ("x", 1, 0, 0)
    with arg_scope([first], b=2):
        assert network() == ("x", 1, 2, 0)
    assert first("x") == ("x", 0, 0, 0)


def test_decorated_recursion_restores_each_level() -> None:
    @arg_scope([first], a=1)
    def network(depth: int) -> int:
        if depth:
            network(depth - 1)
        return first("x")[1]

    assert network(3) == 1
    assert len(current_arg_scope()) == 0


def test_decorated_function_keeps_name_docstring_and_signature() -> None:
    assert first.__name__ == "first"
    assert first.__doc__ == "Return what the call got."
    assert list(inspect.signature(first).parameters) == ["x", "a", "b", "c"]
    assert add_arg_scope(first) is first
    assert has_arg_scope(first)
    assert not has_arg_scope(undecorated)
    assert arg_scoped_arguments(second) == ("a", "b", "d")


@pytest.mark.parametrize(
    ("enter", "message"),
    [
        (lambda: arg_scope([first], aa=1), "first has no argument 'aa'. Did you mean 'a'?"),
        (
            lambda: arg_scope([first, second], c=1),
            "second has no argument 'c'. Valid: 'a', 'b', 'x'.",
        ),
        (
            lambda: arg_scope([undecorated], x=1),
            "undecorated is not decorated with @add_arg_scope, so no scope can reach it.",
        ),
        (
            lambda: arg_scope(first, a=1),  # type: ignore[arg-type]
            "arg_scope takes a list or tuple of functions, or a saved scope; received first.",
        ),
        (
            lambda: arg_scope({}, a=1),
            "A saved scope is entered as it is, without further arguments; received a.",
        ),
    ],
)
def test_refused_scope_says_why_and_leaves_parent_active(enter: Any, message: str) -> None:
    with arg_scope([first], a=1):
        with pytest.raises(ScopeError) as caught, enter():
            pass
        assert str(caught.value) == message
        assert first("x")[1] == 1


def test_exception_inside_a_scope_restores_its_parent() -> None:
    with arg_scope([first], a=1):
        with pytest.raises(RuntimeError), arg_scope([first], a=2):
            raise RuntimeError
        assert first("x")[1] == 1


def test_recorded_call_knows_what_each_value_beat() -> None:
    with recording() as record, arg_scope([first], a=1, b=1), arg_scope([first], a=2):
        first("x", c=3)
    (call,) = record.calls
    assert [binding.value for binding in call.bindings["a"].chain()] == [2, 1]
    assert [binding.value for binding in call.bindings["b"].chain()] == [1]
    assert call.given == {"x": "x", "c": 3}
    location = call.bindings["a"].origin
    assert str(location).startswith("test_arg_scope.py:") or "tests/test_arg_scope.py:" in str(
        location
    )
    assert str(location).endswith("(test_recorded_call_knows_what_each_value_beat)")


# A program: enter a level, enter one that is refused, call, or raise and leave levels behind.
_level = st.tuples(
    st.sampled_from([(first,), (second,), (first, second)]),
    st.dictionaries(st.sampled_from(["a", "b"]), st.integers(0, 9)),
)
_tree = st.recursive(
    st.just([]),
    lambda inner: st.lists(
        st.tuples(_level, st.sampled_from(["ok", "raise", "refused", "clear"]), inner), max_size=3
    ),
    max_leaves=12,
)


@given(_tree)
def test_scopes_merge_like_plain_dicts_also_after_exceptions(tree: Any) -> None:
    def check(model: dict[Any, dict[str, int]]) -> None:
        for function in (first, second):
            values = model.get(function, {})
            assert function("x")[1:3] == (values.get("a", 0), values.get("b", 0))
            assert function("x", b=77)[2] == 77

    def run(nodes: Any, model: dict[Any, dict[str, int]]) -> None:
        for (functions, arguments), fate, inner in nodes:
            if fate == "refused":
                with pytest.raises(ScopeError), arg_scope(list(functions), nothing=1, **arguments):
                    pass
            elif fate == "clear":
                with arg_scope({}):
                    run(inner, {})
            else:
                merged = {f: dict(values) for f, values in model.items()}
                for function in functions:
                    merged.setdefault(function, {}).update(arguments)
                try:
                    with arg_scope(list(functions), **arguments):
                        run(inner, merged)
                        if fate == "raise":
                            raise KeyError
                except KeyError:
                    assert fate == "raise"
            check(model)
        check(model)

    run(tree, {})


def test_threads_do_not_see_each_others_scopes() -> None:
    barrier = threading.Barrier(8)
    seen: dict[int, int] = {}

    def work(number: int) -> None:
        with arg_scope([first], a=number):
            barrier.wait(10)
            seen[number] = first("x")[1]
            barrier.wait(10)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert seen == {number: number for number in range(8)}
