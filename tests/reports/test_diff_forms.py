"""A diff as text, as CSV and as a graph: each says the same, and none trusts a name."""

import csv
import io
import json
import re
from typing import Any

from diffed import Made
from test_diff import branches, traced

from model_zoo import Tensor, diff
from model_zoo.layers import conv2d, max_pool2d

ELU = {"ops": ["conv2d"], "args": {"activation_fn": "elu"}}


def test_text_has_a_paragraph_for_each_part() -> None:
    a, b = traced(), traced(params={"num_classes": 7}, scopes=[ELU])
    text = re.sub(r"\.py:\d+", ".py:N", diff(a, b).to_text())
    assert (
        text
        == f"""\
The builds differ.
    a: {a.spec.digest} (lenet)
    b: {b.spec.digest} (lenet)

Spec (JSON Patch from a to b)
    replace  /params/num_classes 7
    add      /scopes/0 {{"ops": ["conv2d"], "args": {{"activation_fn": "elu"}}}}

total                          a           b  difference  ratio
---------------------------------------------------------------
parameters             3,274,634   3,271,559      -3,075  0.999
trainable parameters   3,274,634   3,271,559      -3,075  0.999
multiply adds         13,883,904  13,880,832      -3,072  1.000
weight bytes          13,098,536  13,086,236     -12,300  0.999
activation bytes         212,112     212,088         -24  1.000

Layers: 6 same, 4 changed, 0 renamed, 0 added, 0 removed
    changed  LeNet/conv1 (conv2d): arguments
    changed  LeNet/conv2 (conv2d): arguments
    changed  LeNet/fc4 (fully_connected): output shape Nx10 -> Nx7, parameters 10,250 -> 7,175, \
multiply adds 10,240 -> 7,168, arguments
    changed  Predictions (softmax): output shape Nx10 -> Nx7

Settings
    conv2d.activation_fn
        a: "relu"  [scope from model_zoo/architectures/lenet.py:N (lenet_arg_scope)]
        b: "elu"  [scope from /scopes/0/args/activation_fn; beat "relu" from \
model_zoo/architectures/lenet.py:N (lenet_arg_scope)]
        in LeNet/conv1
        in LeNet/conv2
    fully_connected.num_outputs
        a: 10  [call from model_zoo/architectures/lenet.py:N (lenet)]
        b: 7  [call from model_zoo/architectures/lenet.py:N (lenet)]
        in LeNet/fc4

Shared weights: 6 variables, 3,264,384 parameters, 99.7% of a, 99.8% of b
"""
    )


def test_text_of_one_build_twice() -> None:
    same = traced().spec.digest
    assert diff(traced(), traced()).to_text() == (
        "The builds are the same.\n"
        f"    a: {same} (lenet)\n    b: {same} (lenet)\n\n"
        "Layers: 10 same, 0 changed, 0 renamed, 0 added, 0 removed\n\n"
        "Shared weights: 8 variables, 3,274,634 parameters, 100.0% of a, 100.0% of b\n"
    )


def new_layer(a: bool) -> Made:
    def network(x: Tensor) -> Tensor:
        x = conv2d(x, 4, 3, scope="old" if a else "new")
        return x if a else max_pool2d(x, 2, scope="pool")

    return Made(network)


def test_text_names_renamed_added_and_removed_layers_and_edges() -> None:
    assert diff(new_layer(True), new_layer(False)).to_text().splitlines()[-8:] == [
        "Layers: 1 same, 0 changed, 1 renamed, 1 added, 0 removed",
        "    renamed  old -> new (conv2d)",
        "    added    pool (max_pool2d): Nx4x4x4, 0 parameters",
        "",
        "Edges",
        "    added    new -> pool",
        "",
        "Shared weights: 0 variables, 0 parameters, 0.0% of a, 0.0% of b",
    ]
    assert "    removed  pool (max_pool2d): Nx4x4x4, 0 parameters" in (
        diff(new_layer(False), new_layer(True)).to_text().splitlines()
    )


def rows(table: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(table)))


def test_csv_has_a_row_for_each_difference() -> None:
    result = diff(traced(), traced(params={"num_classes": 7}, scopes=[ELU]))
    document: Any = result.to_dict()
    table = rows(result.to_csv())
    assert list(table[0]) == [
        *("part", "status", "name", "op", "argument", "a", "b"),
        *("a_kind", "a_written_at", "a_beat", "b_kind", "b_written_at", "b_beat"),
    ]
    parts = {part: [row for row in table if row["part"] == part] for part in ("spec", "layer")}
    assert [(row["status"], row["name"], row["b"]) for row in parts["spec"]] == [
        ("replace", "/params/num_classes", "7"),
        ("add", "/scopes/0", json.dumps(ELU)),
    ]
    assert [json.loads(row["a"]) for row in parts["layer"]] == [
        layer["a"] for layer in document["layers"]
    ]
    totals = {row["name"]: row for row in table if row["part"] == "total"}
    assert totals.keys() == document["totals"].keys()
    assert (totals["parameters"]["a"], totals["parameters"]["b"]) == ("3274634", "3271559")
    assert (totals["parameters"]["status"], totals["layers"]["status"]) == ("changed", "same")
    for row, setting in zip(
        (row for row in table if row["part"] == "setting"), document["settings"], strict=True
    ):
        assert (row["name"], row["op"], row["argument"]) == (
            setting["layer"],
            setting["op"],
            setting["argument"],
        )
        for side in ("a", "b"):
            argument = setting[side]
            assert json.loads(row[side]) == argument["value"]
            assert row[f"{side}_kind"] == argument["kind"]
            assert row[f"{side}_written_at"] == argument["written_at"]
            assert json.loads(row[f"{side}_beat"] or "[]") == argument.get("beat", [])


def test_csv_of_edges_and_of_layers_on_one_side() -> None:
    table = rows(diff(new_layer(True), new_layer(False)).to_csv())
    (edge,) = [row for row in table if row["part"] == "edge"]
    assert (edge["status"], edge["name"], edge["a"], edge["b"]) == ("added", "new", "", '"pool"')
    added = next(row for row in table if row["status"] == "added")
    assert (added["name"], added["op"], added["a"]) == ("pool", "max_pool2d", "")
    assert json.loads(added["b"])["output_shape"] == [None, 4, 4, 4]
    table = rows(diff(new_layer(False), new_layer(True)).to_csv())
    (edge,) = [row for row in table if row["part"] == "edge"]
    assert (edge["status"], edge["name"], edge["a"], edge["b"]) == ("removed", "old", '"pool"', "")


def test_csv_has_no_formulas() -> None:
    for name in ("=1+1", "+1", "-x", "@sum"):
        table = diff(branches("a", first="stem"), branches("a", outer=name)).to_csv()
        layers = [row["name"] for row in rows(table) if row["part"] == "layer"]
        assert layers[0] == f"'{name}/stem"
        assert all(not cell.startswith(name[0]) for row in rows(table) for cell in row.values())


NODE = re.compile(r'  (n\d+) \[label="((?:[^"\\]|\\.)*)", fillcolor=(\w+)\];')
EDGE = re.compile(r"  (n\d+) -> (n\d+)(?: \[color=(green|red)(?:, style=dashed)?\])?;")


def graph(dot: str) -> tuple[dict[str, tuple[str, str]], list[tuple[str, str, str | None]]]:
    """Return the nodes, each a label and a colour, and the edges; every line must be one."""
    first, style, *lines, last = dot.splitlines()
    assert (first, last) == ("digraph diff {", "}")
    assert style == '  node [shape=box, style=filled, fontname="sans-serif"];'
    nodes, edges = {}, []
    for line in lines:
        if match := NODE.fullmatch(line):
            nodes[match[1]] = (match[2], match[3])
        else:
            match = EDGE.fullmatch(line)
            assert match, line
            edges.append((nodes[match[1]][0], nodes[match[2]][0], match[3]))
    return nodes, edges


def test_dot_draws_what_differs_and_its_neighbours() -> None:
    changed = traced(scopes=[{**ELU, "layers": ["*/conv2"]}])
    nodes, edges = graph(diff(traced(), changed).to_dot())
    conv2 = "LeNet/conv2\\nconv2d Nx14x14x64\\nchanged: arguments"
    pools = [f"LeNet/pool{n}\\nmax_pool2d Nx{s}" for n, s in ((1, "14x14x32"), (2, "7x7x64"))]
    assert list(nodes.values()) == [(pools[0], "white"), (conv2, "orange"), (pools[1], "white")]
    assert edges == [(pools[0], conv2, None), (conv2, pools[1], None)]
    assert len(graph(diff(traced(), changed, same=True).to_dot())[0]) == 10
    assert graph(diff(traced(), traced()).to_dot()) == ({}, [])


def test_dot_marks_renamed_added_and_removed() -> None:
    nodes, edges = graph(diff(new_layer(True), new_layer(False)).to_dot())
    new, pool = "old -> new\\nconv2d Nx8x8x4", "pool\\nmax_pool2d Nx4x4x4"
    assert list(nodes.values())[1:] == [(new, "lightblue"), (pool, "palegreen")]
    assert edges[-1] == (new, pool, "green")
    nodes, edges = graph(diff(new_layer(False), new_layer(True)).to_dot())
    assert nodes["n2"] == (pool, "salmon")
    assert edges[-1][2] == "red"


def test_dot_shows_foreign_names_as_they_are() -> None:
    name = 'a"];b\\N\n&lt;'
    nodes, _ = graph(diff(branches("a"), branches("a", outer=name)).to_dot())
    labels = [label for label, _ in nodes.values()]
    assert labels[1] == 'net/stem -> a\\"];b\\\\N\\n&amp;lt;/stem\\nconv2d Nx8x8x4'
