"""A build as code of this library: executed, it is the build's graph again."""

import contextlib
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from coded import LEVELS, described, formatter_changes
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from small import small_spec

from model_zoo import (
    BuildSpec,
    Graph,
    OptionError,
    SavedScope,
    Tensor,
    Trace,
    architecture,
    arg_scope,
    list_architectures,
    read_scope,
    trace,
)
from model_zoo.activations import Activation
from model_zoo.layers import conv2d, find_op, register_op
from model_zoo.layers.arguments import ActivationFn
from model_zoo.registries import all_or_nothing
from model_zoo.values import Regularizer, register

FORCED: Sequence[dict[str, Any]] = (
    {"ops": ["batch_norm"], "args": {"decay": 0.5, "scale": True}, "force": True},
    {"ops": ["conv2d"], "args": {"rate": 1}, "layers": ["*1*", "*/fc'\"8"]},
    {
        "ops": ["conv2d", "separable_conv2d"],
        "layers": ["*"],
        "except": ["*Logits*", "*logits*", "*/project"],
        "force": True,
        "args": {"activation_fn": {"name": "gelu", "approximate": True}},
    },
    {"ops": ["batch_norm"], "args": {"epsilon": 0.25}, "except": ["*2*"]},
)


def traced(**wire: Any) -> Trace:
    return trace(BuildSpec.read(wire))


def run(code: str) -> Graph:
    names: dict[str, Any] = {}
    exec(compile(code, "code.py", "exec"), names)
    graph: Graph = names["graph"]
    return graph


def assert_same(build: Trace) -> str:
    code = build.code()
    assert described(run(code)) == described(build.graph)
    return code


@pytest.mark.parametrize("name", list_architectures())
def test_every_architecture_is_the_same(name: str, tmp_path: Path) -> None:
    small = small_spec(name)
    codes = [
        assert_same(traced(architecture=name)),
        assert_same(traced(architecture=name, is_training=True)),
        assert_same(traced(architecture=name, default_scope={"weight_decay": 0.5})),
        assert_same(traced(**{**small, "default_scope": None, "scopes": LEVELS})),
        assert_same(traced(**{**small, "scopes": [*LEVELS[:3], *FORCED]})),
    ]
    assert formatter_changes(tmp_path, codes) == ""


def test_only_what_differs_from_defaults_is_written() -> None:
    assert traced(
        architecture="mobilenet_v1_025",
        params={"num_classes": 11, "spatial_squeeze": True, "dropout_keep_prob": 0.5},
        input_shape=[128, 128, 3],
        default_scope={"weight_decay": 0.00004, "stddev": 0.05},
        scopes=[
            {
                "ops": ["conv2d"],
                "layers": ["MobilenetV1/*"],
                "args": {"weights_regularizer": {"name": "l2_regularizer", "scale": 0.1}},
            }
        ],
    ).code() == (
        "from model_zoo import arg_scope, build_graph\n"
        "from model_zoo.architectures.mobilenet_v1 import mobilenet_v1, mobilenet_v1_arg_scope\n"
        "from model_zoo.layers import conv2d\n"
        "from model_zoo.values import l2_regularizer\n"
        "\n"
        "\n"
        "def network(inputs):\n"
        "    with (\n"
        "        arg_scope(mobilenet_v1_arg_scope(stddev=0.05)),\n"
        "        arg_scope([conv2d], weights_regularizer=l2_regularizer(0.1)).on(\n"
        '            "MobilenetV1/*"\n'
        "        ),\n"
        "    ):\n"
        "        return mobilenet_v1(\n"
        "            inputs,\n"
        "            num_classes=11,\n"
        "            is_training=False,\n"
        "            dropout_keep_prob=0.5,\n"
        "            depth_multiplier=0.25,\n"
        "        )\n"
        "\n"
        "\n"
        "graph = build_graph(network, (128, 128, 3))\n"
    )


def test_one_build_has_one_code_however_it_was_posted() -> None:
    scopes = [{"ops": ["separable_conv2d", "conv2d"], "args": {"rate": 1}}]
    build = traced(architecture="mobilenet_v2", scopes=scopes)
    again = trace(BuildSpec.stored(build.spec.normalized()))
    for style in ("python", "tf-slim"):
        assert again.code(style) == build.code(style)


def test_a_network_may_end_early() -> None:
    code = assert_same(traced(architecture="inception_v3", params={"final_endpoint": "Mixed_5c"}))
    assert code.endswith('graph = build_graph(network, (299, 299, 3), final_endpoint="Mixed_5c")\n')
    params = {"final_endpoint": "Mixed_4c", "spatial_squeeze": False}
    code = assert_same(traced(architecture="s3dg", params=params))
    assert '            final_endpoint="Mixed_4c",\n' in code


def test_saved_scopes_are_written_as_their_levels() -> None:
    class House:
        def scope(self, name: str, digest: str | None) -> SavedScope:
            return read_scope(name, {"levels": [LEVELS[1]]})

    for key in ("include", "saved"):
        wire = {"architecture": "inception_v3", "scopes": [LEVELS[6], {key: "house"}, LEVELS[7]]}
        code = assert_same(trace(BuildSpec.read(wire, House())))
        assert code.count('param_initializers={"gamma": ones_initializer()}') == 1
        assert ("inception_v3_arg_scope" in code) == (key == "include")


def test_weights_that_the_code_leaves_out_are_named() -> None:
    assert "#" not in traced(architecture="lenet").code()
    weights: list[dict[str, Any]] = [
        {"source": "random", "seed": 7},
        {"source": "checkpoint", "id": "a1" * 32},
        {"source": "build", "id": "b2" * 16},
    ]
    comments = (
        "# Not here: the build's random weights have seed 7.\n"
        "# Not here: the build takes weights from checkpoint a1a1a1a1a1a1.\n"
        "# Not here: the build takes weights from build b2b2b2b2b2b2.\n"
    )
    build = traced(architecture="lenet", weights=weights)
    assert f"\n\n{comments}graph = " in build.code()
    assert f"\n\n{comments}images = " in build.code("tf-slim")


def test_more_scopes_than_python_can_nest_are_entered_one_by_one(tmp_path: Path) -> None:
    scopes = [*LEVELS, *FORCED] * 2
    build = traced(architecture="cifarnet", scopes=scopes)
    code = assert_same(build)
    assert code.startswith("import contextlib\n\nfrom model_zoo import arg_scope, build_graph\n")
    assert formatter_changes(tmp_path, [code]) == ""


def test_an_unknown_style_is_refused_with_the_valid_ones() -> None:
    with pytest.raises(OptionError) as caught:
        traced(architecture="lenet").code("tf_slim")
    assert str(caught.value) == "style does not accept 'tf_slim'. Did you mean 'tf-slim'?"


def test_code_runs_in_a_process_of_its_own_without_tensorflow(tmp_path: Path) -> None:
    file = tmp_path / "code.py"
    code = traced(architecture="inception_v3", scopes=[LEVELS[0], *FORCED]).code()
    file.write_text(f"{code}import sys\nprint('tensorflow' in sys.modules, len(graph.calls))\n")
    printed = subprocess.run(
        [sys.executable, str(file)], capture_output=True, text=True, check=True
    ).stdout
    assert printed == "False 211\n"


class _TakeBack(Exception):  # noqa: N818 - ends a block, never an error
    """Ends a test that registers names: they are taken back."""


def mish(alpha: float = 1.0) -> Activation:
    """An activation of someone else's."""
    return Activation("mish", (("alpha", float(alpha)),))


def test_what_a_package_has_registered_is_imported_from_its_module() -> None:
    with contextlib.suppress(_TakeBack), all_or_nothing():
        register("activation", "mish", mish)
        register("regularizer", "shy", lambda: Regularizer("shy"))

        @register_op(layer="Conv")
        def relu(
            inputs: Tensor, activation_fn: ActivationFn = None, scope: str | None = None
        ) -> Tensor:
            return conv2d(inputs, 4, 3, activation_fn=activation_fn, scope=scope)

        def own_scope():  # type: ignore[no-untyped-def]  # as users write it
            with arg_scope([conv2d], activation_fn=None) as scope:
                return scope

        @architecture(
            arg_scope=own_scope,
            input_shape=(8, 8, 3),
            preprocessing="inception",
            source="a test",
            classes=5,
        )
        def inputs(images: Tensor, num_classes: int = 5, is_training: bool = False) -> Tensor:
            """Build one layer."""
            return find_op("relu")(images)  # type: ignore[no-any-return]  # an op

        build = traced(
            architecture="inputs",
            scopes=[
                {"ops": ["relu"], "args": {"activation_fn": "relu"}},
                {"ops": ["relu"], "args": {"activation_fn": {"name": "mish", "alpha": 2}}},
                {"ops": ["conv2d"], "args": {"weights_regularizer": "shy"}},
            ],
        )
        code = assert_same(build)
        assert code.splitlines()[:5] == [
            "from model_zoo import arg_scope, build_graph, find_architecture",
            "from model_zoo.activations import relu",
            "from model_zoo.layers import conv2d, find_op",
            "from model_zoo.values import makers",
            f"from {__name__} import mish",
        ]
        assert 'find_op("relu")], activation_fn=mish(alpha=2.0)' in code
        assert 'weights_regularizer=makers("regularizer")["shy"]()' in code
        raise _TakeBack


_NAMES = st.text(st.characters(codec="utf-8", exclude_characters="\n\r\x0c"), max_size=40)


def _level(layers: Sequence[str], excluded: Sequence[str], force: bool, count: int) -> Any:
    arguments = {
        "weights_regularizer": {"name": "l2_regularizer", "scale": 1e-05},
        "biases_initializer": None,
        "activation_fn": {"name": "leaky_relu", "alpha": 0.25},
        "normalizer_params": {"decay": 0.25},
        "weights_initializer": {"name": "truncated_normal_initializer", "stddev": 0.015625},
    }
    return {
        "ops": ["conv2d", "fully_connected"][: 1 + count % 2],
        "args": dict(list(arguments.items())[:count]),
        "layers": layers,
        "except": excluded,
        "force": force,
    }


_PATTERNS = st.lists(st.from_regex("[A-Za-z_/]{1,40}", fullmatch=True), max_size=3)
_LEVELS = st.lists(
    st.builds(
        _level,
        _PATTERNS.map(lambda each: each or ["*"]),
        _PATTERNS,
        st.booleans(),
        st.integers(0, 5),
    ),
    max_size=10,
)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(_LEVELS)
def test_a_formatter_changes_nothing(tmp_path: Path, levels: Sequence[Mapping[str, Any]]) -> None:
    build = traced(architecture="lenet", scopes=list(levels))
    codes = [assert_same(build)]
    plain = [{"ops": level["ops"], "args": level["args"]} for level in levels]
    codes.append(traced(architecture="lenet", scopes=plain).code("tf-slim"))
    assert formatter_changes(tmp_path, codes) == ""


@given(_NAMES)
def test_any_text_of_a_pattern_is_a_string_in_the_code(name: str) -> None:
    pattern = name.replace("*", "x") or "x"
    scopes = [{"ops": ["conv2d"], "layers": [pattern], "args": {"rate": 1}}]
    assert_same(traced(architecture="lenet", scopes=scopes))
