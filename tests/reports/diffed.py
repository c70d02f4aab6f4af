"""Traces of networks made on the spot, and a diff seen from its other side."""

from collections.abc import Callable
from typing import Any

from model_zoo import BuildSpec, Graph, Tensor
from model_zoo.graph import build_graph
from model_zoo.reports.explanation import Explanation, explain
from model_zoo.reports.overrides import Overrides
from model_zoo.reports.summary import Summary, summarize


class Made:
    """A trace of a function; its spec is any."""

    def __init__(
        self,
        network: Callable[[Tensor], Tensor],
        shape: tuple[int, ...] = (8, 8, 3),
        spec: BuildSpec | None = None,
    ) -> None:
        self.graph: Graph = build_graph(network, shape)
        self.spec = spec or BuildSpec.read({"architecture": "lenet"})
        self._summary = summarize(self.graph)

    def summary(self) -> Summary:
        return self._summary

    def explanation(self) -> Explanation:
        calls = self.graph.calls
        return explain(calls, Overrides(self.spec.architecture, (), calls))


SWAPPED = {"added": "removed", "removed": "added"}


def mirrored(document: dict[str, Any]) -> dict[str, Any]:
    """Return a diff's document, but for its spec, as that of the swapped sides would be."""
    names = {
        layer["b"]["name"]: layer["a"]["name"]
        for layer in document["layers"]
        if layer["a"] and layer["b"]
    }
    counts = document["layer_counts"]
    return {
        "layers": [
            {
                "status": SWAPPED.get(each["status"], each["status"]),
                "changes": each["changes"],
                "a": each["b"],
                "b": each["a"],
            }
            for each in document["layers"]
        ],
        "edges": [
            {
                "status": SWAPPED.get(each["status"], each["status"]),
                "source": names.get(each["source"], each["source"]),
                "target": names.get(each["target"], each["target"]),
            }
            for each in document["edges"]
        ],
        "settings": [_mirrored_setting(each) for each in document["settings"]],
        "layer_counts": {**counts, "added": counts["removed"], "removed": counts["added"]},
        "totals": {
            name: {"a": each["b"], "b": each["a"], "difference": -each["difference"]}
            for name, each in document["totals"].items()
        },
        "shared_weights": {
            **document["shared_weights"],
            "share_of_a": document["shared_weights"]["share_of_b"],
            "share_of_b": document["shared_weights"]["share_of_a"],
        },
    }


def _mirrored_setting(setting: dict[str, Any]) -> dict[str, Any]:
    swapped = {**setting, "a": setting["b"], "b": setting["a"]}
    if "renamed_from" in setting:
        swapped |= {"layer": setting["renamed_from"], "renamed_from": setting["layer"]}
    return swapped
