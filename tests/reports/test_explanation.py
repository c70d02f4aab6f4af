"""Explanations: the reports of arguments that several calls share."""

from model_zoo import BuildSpec, trace
from model_zoo.reports.explanation import argument_report
from model_zoo.setters import setters


def test_a_report_that_calls_share_is_what_each_would_have_alone() -> None:
    levels = [
        {"ops": ["conv2d"], "args": {"activation_fn": "elu"}},
        {"ops": ["conv2d"], "args": {"activation_fn": "relu6"}, "layers": ["*/conv2"]},
        {"ops": ["fully_connected"], "args": {"activation_fn": "tanh"}, "force": True},
    ]
    traced = trace(BuildSpec.read({"architecture": "lenet", "scopes": levels}))
    values = {}
    for call, report in zip(traced.graph.calls, traced.explanation().calls, strict=True):
        for argument in report.arguments:
            alone = argument_report(call, argument.name, setters(call, argument.name))
            assert argument == alone, (report.layer, argument.name)
        values[report.layer] = {
            each["name"]: each["value"] for each in report.to_dict()["arguments"]
        }
    assert {layer: each.get("activation_fn") for layer, each in values.items()} == {
        "LeNet/conv1": "elu",
        "LeNet/pool1": None,
        "LeNet/conv2": "relu6",
        "LeNet/pool2": None,
        "LeNet/Flatten": None,
        "LeNet/fc3": "tanh",
        "LeNet/dropout3": None,
        "LeNet/fc4": "tanh",
        "Predictions": None,
    }
