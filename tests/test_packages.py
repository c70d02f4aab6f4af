"""Installed packages of architectures: the good are in the catalogue, the others say why not."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from package_site import ABSENT, MODULES, make_site, path_with, without_lines
from small import small_spec

import model_zoo
from model_zoo import BuildSpec, ZooError, registries, trace
from model_zoo.mistakes import find_mistake

GOOD = ("good", "shared")
REASONS = {
    "raises": "RuntimeError: there is no license (raises.py:LINE).",
    "exits": "SystemExit: 3 (exits.py:LINE).",
    "ends": "End (ends.py:LINE).",
    "does_not_parse": "SyntaxError: invalid syntax (does_not_parse.py, line LINE).",
    "takes_a_name": "ValueError: There is already an architecture named lenet "
    "(takes_a_name.py:LINE).",
    "imports_nothing_there": "ModuleNotFoundError: No module named 'there_is_no_such_module' "
    "(imports_nothing_there.py:LINE).",
    "builds_on_shared": "ValueError (builds_on_shared.py:LINE).",
    "string_as_function": "string_net/stem (conv2d): activation_fn must be a function of a tensor, "
    "such as model_zoo.activations.relu, or None; received 'relu', written at "
    "string_as_function.py:LINE (<lambda>).",
    "string_in_scope": "scope_net/conv (conv2d): weights_initializer must be an initializer, such "
    "as model_zoo.values.xavier_initializer(); received 'xavier', written at "
    "string_in_scope.py:LINE (string_scope).",
    "axis_by_name": "axis_net/norm (layer_norm): begin_norm_axis must be an integer of at least -5 "
    "and of at most 5; received 'height', written at axis_by_name.py:LINE (<lambda>).",
    "mean_by_name": "axes of reduce_mean must be a list of integers from 1 to 3, the dimensions of "
    "input after the batch; received ['height', 'width'] (mean_by_name.py:LINE).",
    "returns_a_tuple": "tuple_net must return a tensor; it returned a value of type tuple. End "
    "points are published by end_point.",
    "calls_wrongly": "call_net: TypeError: conv2d() got an unexpected keyword argument 'kernel' "
    "(calls_wrongly.py:LINE).",
    "no_scope_function": "ValueError: arg_scope of none_net must be a function that returns an "
    "ArgScope; received 'own_arg_scope' (no_scope_function.py:LINE).",
    ABSENT: "ModuleNotFoundError: No module named 'is_not_installed'.",
}

ASK = """
import json, model_zoo
from model_zoo import ZooError

def message(call):
    try:
        call()
    except ZooError as error:
        return error.problems[0].message

print(json.dumps({
    "failed": [[each.package, each.module, each.reason] for each in model_zoo.failed_packages()],
    "architectures": model_zoo.list_architectures(),
    "ops": model_zoo.list_ops(),
    "rows": [row["name"] for row in model_zoo.describe_architectures()],
    "known": message(lambda: model_zoo.BuildSpec.read({"architecture": "raised_net"})),
    "unknown": message(lambda: model_zoo.describe_architecture("who_knows")),
    "op": message(lambda: model_zoo.describe_op("raised_op")),
    "lenet": model_zoo.find_architecture("lenet").source,
}))
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_site(tmp_path_factory.mktemp("site"))


def run(site: Path, *command: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": path_with(site)}
    return subprocess.run(
        [sys.executable, *command], env=environment, capture_output=True, text=True, timeout=60
    )


@pytest.fixture(scope="module")
def told(site: Path) -> Any:
    done = run(site, "-c", ASK)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return json.loads(without_lines(done.stdout))


def test_every_module_is_good_or_has_a_reason() -> None:
    assert {*GOOD, *REASONS} == {*MODULES, ABSENT}


@pytest.mark.parametrize("module", REASONS)
def test_a_package_that_fails_is_left_out_and_the_reason_is_told(told: Any, module: str) -> None:
    reasons = {failed[1]: failed[2] for failed in told["failed"]}
    assert reasons[module] == REASONS[module]
    assert [module.replace("_", "-"), module, REASONS[module]] in told["failed"]


def test_the_other_architectures_stay_and_nothing_of_a_failed_package_does(told: Any) -> None:
    """Shared stays too, although a package that failed had imported it first."""
    own = set(model_zoo.list_architectures())
    assert set(told["architectures"]) == {*own, "good_net", "shared_net"}
    assert told["rows"] == told["architectures"]
    assert told["ops"] == list(model_zoo.list_ops())
    assert told["lenet"] == model_zoo.find_architecture("lenet").source


def test_asking_for_an_architecture_of_a_failed_package_says_why(told: Any) -> None:
    why = (
        "The package raises was left out, because its module raises failed: RuntimeError: there "
        "is no license (raises.py:LINE)."
    )
    start, _, end = told["known"].partition(" The package ")
    assert start.startswith("There is no architecture 'raised_net'. ")
    assert f"The package {end}" == why
    assert told["op"].startswith("There is no scoped op 'raised_op'. ")
    assert told["op"].endswith(f" {why}")


def test_asking_for_a_name_that_no_package_registered_names_the_first_that_failed(
    told: Any,
) -> None:
    """A package may have failed before it came to the name."""
    start = (
        " The package axis-by-name was left out, because its module axis_by_name failed: "
        f"{REASONS['axis_by_name']} The package builds-on-shared was left out, because "
    )
    assert start in told["unknown"]
    assert told["unknown"].endswith(f" {len(REASONS) - 3} more packages were left out.")


def test_without_failed_packages_an_unknown_name_is_told_as_ever() -> None:
    with pytest.raises(ZooError) as caught:
        model_zoo.describe_architecture("lenett")
    assert (
        str(caught.value)
        == "There is no architecture 'lenett'. Did you mean 'lenet' or 'alexnet_v2'?"
    )


def test_the_list_warns_of_failed_packages_beside_the_table(site: Path) -> None:
    done = run(site, "-m", "model_zoo.cli", "list")
    assert done.returncode == 0
    assert "good_net" in done.stdout
    warnings = without_lines(done.stderr).splitlines()
    assert len(warnings) == len(REASONS)
    assert (
        "warning: The package exits was left out, because its module exits failed: SystemExit: 3 "
        "(exits.py:LINE)."
    ) in warnings


def test_a_command_that_names_a_missing_architecture_says_why(site: Path) -> None:
    done = run(site, "-m", "model_zoo.cli", "summary", "exited_net")
    assert done.returncode == 1
    assert without_lines(done.stderr).endswith(
        "Did you mean 'shared_net'? The package exits was left out, because its module exits "
        "failed: SystemExit: 3 (exits.py:LINE).\n"
    )


def test_what_fails_in_part_is_taken_back() -> None:
    registry: registries.Registry[int] = registries.Registry("a number")
    registry.add("one", 1, make_site)

    def add_two() -> None:
        with registries.all_or_nothing() as added:
            registry.add("two", 2, make_site)
            assert added() == {"two"}
            registry.add("one", 3, make_site)

    with pytest.raises(ValueError, match=r"^There is already a number named one\.$"):
        add_two()
    assert registry == {"one": 1}
    with registries.all_or_nothing():
        registry.add("two", 2, make_site)
    assert registry == {"one": 1, "two": 2}


@pytest.mark.parametrize("name", model_zoo.list_architectures())
def test_own_networks_make_none_of_these_mistakes(name: str) -> None:
    assert find_mistake(trace(BuildSpec.read(small_spec(name))).graph.calls) is None
