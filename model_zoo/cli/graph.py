"""`model-zoo graph`: the network as a graph, for Graphviz, Model Explorer or a program."""

import argparse
import json

from model_zoo.cli.common import add_spec, traced
from model_zoo.errors import ZooError
from model_zoo.reports.model_explorer import NODE_METRICS


def add_graph(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `model-zoo graph` to its parser."""
    parser.description = (
        "Draw the network. `model-zoo graph inception_v3 --depth 2 | dot -Tsvg > inception.svg` "
        "makes a picture with Graphviz. Google's Model Explorer opens the formats model-explorer "
        "(the graph) and node-data (a figure of each node)."
    )
    add_spec(parser)
    parser.add_argument(
        "--depth", type=int, help="draw each scope that is this deep as one node; 1 is the top"
    )
    parser.add_argument(
        "--format", choices=("dot", "json", "model-explorer", "node-data"), default="dot"
    )
    parser.add_argument(
        "--metric",
        choices=NODE_METRICS,
        help=f"the figure of format node-data; by default {NODE_METRICS[0]}",
    )
    parser.set_defaults(run=_graph)


def _graph(options: argparse.Namespace) -> int:
    if options.metric is not None and options.format != "node-data":
        raise ZooError(f"--metric is of --format node-data; the format is {options.format}.")
    report = traced(options).graph_report(options.depth)
    if options.format == "dot":
        print(report.to_dot(), end="")
    elif options.format == "node-data":
        print(json.dumps(report.to_node_data(options.metric or NODE_METRICS[0]), indent=2))
    else:
        writers = {"json": report.to_dict, "model-explorer": report.to_model_explorer}
        print(json.dumps(writers[options.format](), indent=2))
    return 0
