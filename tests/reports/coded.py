"""What code must make again, levels to write as code, and a formatter to read it."""

import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from model_zoo import Graph, Tensor
from model_zoo.values import Named


def described(graph: Graph) -> dict[str, Any]:
    """Return every node, variable and end point of a graph, and every argument of every call."""
    return {
        "output": graph.output.name,
        "nodes": [
            (
                node.op,
                [each.name for each in node.inputs],
                (node.output.name, node.output.shape),
                _plain(node.attributes),
                {role: variable.name for role, variable in node.variables.items()},
                node.multiply_adds,
                node.scope,
            )
            for node in graph.nodes
        ],
        "variables": [
            (each.name, each.shape, each.initializer, each.regularizer, each.trainable, each.dtype)
            for each in graph.variables
        ],
        "end_points": {name: tensor.name for name, tensor in graph.end_points.items()},
        "calls": [
            (call.op.name, call.place, _plain({**call.op.defaults, **call.arguments}))
            for call in graph.calls
        ],
    }


def _plain(value: Any) -> Any:
    """Return a value with names in place of tensors, and one kind of sequence."""
    match value:
        case Tensor():
            return value.name
        case Named():
            return value
        case Mapping():
            return {key: _plain(inner) for key, inner in value.items()}
        case list() | tuple():
            return [_plain(inner) for inner in value]
    return value


LEVELS: list[dict[str, Any]] = [
    {
        "ops": ["separable_conv2d", "conv2d", "fully_connected"],
        "args": {
            "activation_fn": {"name": "leaky_relu", "alpha": 0.3},
            "normalizer_fn": "batch_norm",
            "normalizer_params": {"decay": 0.997, "epsilon": 0.001, "scale": True, "center": True},
            "weights_initializer": {"name": "truncated_normal_initializer", "stddev": 0.09},
            "weights_regularizer": {"name": "l1_l2_regularizer", "scale_l2": 0.00004},
        },
    },
    {
        "ops": ["batch_norm"],
        "args": {"decay": 0.5, "param_initializers": {"gamma": "ones_initializer"}},
    },
    {"ops": ["batch_norm"], "args": {"activation_fn": "hard_swish"}},
    {
        "ops": ["conv2d"],
        "args": {"biases_initializer": {"name": "constant_initializer", "value": 0.1}},
    },
    {
        "ops": ["conv2d"],
        "args": {"weights_initializer": {"name": "xavier_initializer", "uniform": False}},
    },
    {
        "ops": ["fully_connected"],
        "args": {
            "weights_initializer": {"name": "variance_scaling_initializer", "mode": "FAN_AVG"}
        },
    },
    {"ops": ["conv2d"], "args": {"weights_regularizer": None, "activation_fn": "relu6"}},
    {"ops": ["conv2d"], "args": {"normalizer_fn": None}},
    {"ops": ["dropout", "batch_norm"], "args": {"is_training": False}},
    {"ops": ["batch_norm"], "args": {"trainable": False}},
]


def formatter_changes(folder: Path, codes: Iterable[str]) -> str:
    """Return what a formatter would change in pieces of code, and what a linter says of them."""
    for index, code in enumerate(codes):
        (folder / f"code_{index}.py").write_text(code)
    ruff = [str(Path(sys.executable).with_name("ruff"))]
    options = ["--isolated", "--no-cache", "--target-version", "py311", "--line-length", "88"]
    printed = [
        subprocess.run(
            [*ruff, *command, *options, str(folder)], capture_output=True, text=True, check=False
        )
        for command in (["format", "--diff"], ["check", "--select", "E,F,I,W", "--quiet"])
    ]
    return "".join(each.stdout + each.stderr for each in printed if each.returncode)
