"""The Pareto front is what its definition says, with ties and in any number of objectives."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model_zoo import OptionError, pareto_front, read_objectives
from model_zoo.sweeps.front import Objective

COSTS = st.integers(1, 4).flatmap(
    lambda width: st.lists(st.tuples(*[st.integers(-3, 3)] * width), max_size=30)
)


@given(COSTS)
def test_front_has_the_points_that_no_other_dominates(costs: list[tuple[int, ...]]) -> None:
    def dominated(point: tuple[int, ...]) -> bool:
        return any(
            other != point and all(a <= b for a, b in zip(other, point, strict=True))
            for other in costs
        )

    assert pareto_front(costs) == {
        number for number, point in enumerate(costs) if not dominated(point)
    }


def test_objectives_are_totals_with_a_direction() -> None:
    objectives = read_objectives("pareto", "parameters:minimize, layers:maximize")
    assert objectives == (Objective("parameters", "minimize"), Objective("layers", "maximize"))
    assert [objective.cost(5) for objective in objectives] == [5, -5]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "",
            "pareto: no row has ''. Valid, among 16: 'activation_bytes', 'largest_difference', "
            "'latency_s', 'layers', 'mean_kl_divergence', 'multiply_adds', 'output_mean', "
            "'output_std', 'parameters', 'peak_activation_bytes', 'predicted_gain', "
            "'same_top_1', ...",
        ),
        (
            "params:minimize,layers:minimize",
            "pareto: no row has 'params'. Did you mean 'parameters'?",
        ),
        (
            "parameters,layers:minimize",
            "pareto: parameters is either parameters:minimize or "
            "parameters:maximize; received 'parameters'.",
        ),
        (
            "parameters:min",
            "pareto: parameters is either parameters:minimize or "
            "parameters:maximize; received 'parameters:min'.",
        ),
        ("layers:minimize,layers:maximize", "pareto names layers twice."),
        (
            "layers:minimize",
            "pareto takes two totals or more, as parameters:minimize,multiply_adds:minimize.",
        ),
    ],
)
def test_objectives_are_refused_with_what_would_be_valid(text: str, message: str) -> None:
    with pytest.raises(OptionError) as caught:
        read_objectives("pareto", text)
    assert str(caught.value) == message
    assert caught.value.option == "pareto"
