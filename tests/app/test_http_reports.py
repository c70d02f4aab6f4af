"""Summary and explanation over HTTP: forms, filters, and the demo of four nested levels."""

import csv
import io
import json

from starlette.testclient import TestClient
from zoo_server import build, problem

from app.http.openapi_examples import SPECS


def test_a_summary_is_json_by_default(client: TestClient) -> None:
    body = client.get(f"/v1/builds/{build(client)}/summary").json()
    assert body["layers"][1] == {
        "name": "LeNet/conv1",
        "op": "conv2d",
        "output_shape": [None, 28, 28, 32],
        "parameters": 832,
        "multiply_adds": 627200,
        "weight_bytes": 3328,
        "activation_bytes": 100352,
        "peak_activation_bytes": 200704,
        "receptive_field": [5, 5],
        "effective_stride": [1, 1],
    }
    assert body["layers"][5]["receptive_field"] is None
    assert body["totals"]["parameters"] == 3_274_634
    assert (body["peak"]["layer"], body["peak"]["bytes"]) == ("LeNet/conv1", 200704)


def test_a_summary_comes_as_text_or_csv_by_accept_or_by_format(client: TestClient) -> None:
    path = f"/v1/builds/{build(client)}/summary"
    text = client.get(path, headers={"Accept": "text/plain"})
    assert text.headers["content-type"] == "text/plain; charset=utf-8"
    assert text.text.splitlines()[3].split() == [
        "LeNet/conv1",
        "conv2d",
        "Nx28x28x32",
        "832",
        "627,200",
        "5x5",
        "1x1",
    ]
    assert client.get(f"{path}?format=text").text == text.text
    table = client.get(path, headers={"Accept": "text/csv;q=0.9, text/plain;q=0.1"})
    assert table.headers["content-type"] == "text/csv; charset=utf-8"
    rows = list(csv.DictReader(io.StringIO(table.text)))
    assert rows[1]["name"] == "LeNet/conv1"
    assert rows[1]["parameters"] == "832"
    # `?format=` is what a person types into a browser, whose Accept asks for HTML.
    assert client.get(f"{path}?format=csv", headers={"Accept": "text/html"}).text == table.text


def test_an_accept_that_admits_nothing_is_406(client: TestClient) -> None:
    path = f"/v1/builds/{build(client)}/summary"
    assert problem(client.get(path, headers={"Accept": "image/png, application/json;q=0"})) == {
        "type": "/docs#problem-not-acceptable",
        "title": "None of the accepted types is available",
        "status": 406,
        "detail": "Accept allows none of: application/json, text/plain, text/csv.",
        "errors": [],
    }


def test_an_unknown_format_is_refused_with_the_nearest(client: TestClient) -> None:
    body = problem(client.get(f"/v1/builds/{build(client)}/summary?format=jsn"))
    assert body["detail"] == "Query parameter format does not accept 'jsn'. Did you mean 'json'?"
    assert body["errors"][0]["suggestion"] == "json"
    body = problem(client.get(f"/v1/builds/{build(client)}/restore-plan?format=csv"))
    assert body["detail"] == "Query parameter format does not accept 'csv'. Valid: 'json', 'text'."


def test_an_explanation_comes_as_csv_by_accept_or_by_format(client: TestClient) -> None:
    scopes = [{"ops": ["conv2d"], "args": {"weights_regularizer": None}}]
    path = f"/v1/builds/{build(client, scopes=scopes)}/explanation?argument=weights_regularizer"
    table = client.get(path, headers={"Accept": "text/csv"})
    assert table.headers["content-type"] == "text/csv; charset=utf-8"
    assert client.get(f"{path}&format=csv").text == table.text
    rows = list(csv.DictReader(io.StringIO(table.text)))
    assert [(row["layer"], row["value"], row["kind"]) for row in rows] == [
        ("LeNet/conv1", "null", "scope"),
        ("LeNet/conv2", "null", "scope"),
        ("LeNet/fc3", '{"name": "l2_regularizer", "scale": 0.0}', "scope"),
        ("LeNet/fc4", '{"name": "l2_regularizer", "scale": 0.0}', "scope"),
    ]
    assert rows[0]["written_at"] == "/scopes/0/args/weights_regularizer"
    (beaten,) = json.loads(rows[0]["beat"])
    assert beaten["level"] == "default_scope"


def test_an_explanation_is_filtered_by_layer_op_and_argument(client: TestClient) -> None:
    path = f"/v1/builds/{build(client)}/explanation"
    everything = client.get(path).json()
    assert {call["op"] for call in everything["calls"]} > {"conv2d", "max_pool2d"}
    (call,) = client.get(f"{path}?layer=LeNet/conv1").json()["calls"]
    assert call["layer"] == "LeNet/conv1"
    below = client.get(f"{path}?layer=LeNet&op=conv2d&argument=stride").json()["calls"]
    assert [call["layer"] for call in below] == ["LeNet/conv1", "LeNet/conv2"]
    assert [[a["name"] for a in call["arguments"]] for call in below] == [["stride"]] * 2
    pools = client.get(f"{path}?op=*_pool2d&layer=LeNet/p*2").json()["calls"]
    assert [call["layer"] for call in pools] == ["LeNet/pool2"]
    text = client.get(f"{path}?layer=LeNet/conv1&argument=stride&format=text")
    assert text.text.splitlines()[1] == "    stride = 1  [default]"


def test_a_filter_that_matches_nothing_says_what_would(client: TestClient) -> None:
    path = f"/v1/builds/{build(client)}/explanation"
    for query, message in {
        "layer=LeNet/conv3": (
            "Query parameter layer does not accept 'LeNet/conv3'. "
            "Did you mean 'LeNet/conv2' or 'LeNet/conv1' or 'LeNet/fc3'?"
        ),
        "op=conv3d": "Query parameter op does not accept 'conv3d'. Did you mean 'conv2d'?",
        "argument=strid": (
            "Query parameter argument does not accept 'strid'. Did you mean 'stride'?"
        ),
        "op=max_pool2d&argument=strd*": (
            "Query parameter argument 'strd*' fits no argument of op 'max_pool2d'. "
            "Did you mean 'stride'?"
        ),
    }.items():
        assert problem(client.get(f"{path}?{query}"))["detail"] == message


def test_four_nested_levels_on_inception_v3_say_which_won(client: TestClient) -> None:
    made = client.post("/v1/builds", json=SPECS["nested scopes"]["value"])
    warnings = made.json()["warnings"]
    assert [warning.partition(":")[0] for warning in warnings] == [
        "/scopes/1/args/decay",
        "/scopes/1/args/epsilon",
        "/scopes/1/args/scale",
        "/scopes/3/args/weights_regularizer",
    ]
    assert "beaten by model_zoo/architectures/inception_v3.py" in warnings[0]
    assert warnings[0].endswith(
        'normalizer_params of conv2d (96). "force": true in this level would beat them.'
    )

    path = made.headers["location"] + "/explanation"
    layer = "InceptionV3/Mixed_5b/Branch_0/Conv2d_0a_1x1"
    found = client.get(f"{path}?layer={layer}").json()
    convolution, norm = found["calls"]
    values = {argument["name"]: argument for argument in convolution["arguments"]}
    assert values["activation_fn"]["value"] == "relu6"
    assert values["activation_fn"]["written_at"] == "/scopes/0/args/activation_fn"
    assert values["activation_fn"]["beat"][0]["value"] == "relu"
    assert values["weights_regularizer"]["written_at"] == "/scopes/2/args/weights_regularizer"
    decay = next(a for a in norm["arguments"] if a["name"] == "decay")
    assert (decay["value"], decay["level"]) == (0.9997, "default_scope")
    assert decay["beat"] == [
        {"value": 0.997, "written_at": "/scopes/1/args/decay", "level": "request"}
    ]
    override = next(o for o in found["overrides"] if o["pointer"] == "/scopes/1/args/decay")
    assert (override["reached"], override["won"]) == (96, 0)


def test_code_is_of_this_library_by_default_and_of_tf_slim_on_request(client: TestClient) -> None:
    scopes = [{"ops": ["conv2d"], "args": {"activation_fn": "elu"}}]
    path = f"/v1/builds/{build(client, scopes=scopes)}/code"
    ours = client.get(path)
    assert ours.headers["content-type"] == "text/x-python; charset=utf-8"
    assert ours.text == (
        "from model_zoo import arg_scope, build_graph\n"
        "from model_zoo.activations import elu\n"
        "from model_zoo.architectures.lenet import lenet, lenet_arg_scope\n"
        "from model_zoo.layers import conv2d\n"
        "\n"
        "\n"
        "def network(inputs):\n"
        "    with arg_scope(lenet_arg_scope()), arg_scope([conv2d], activation_fn=elu):\n"
        "        return lenet(inputs, num_classes=10, is_training=False)\n"
        "\n"
        "\n"
        "graph = build_graph(network, (28, 28, 1))\n"
    )
    assert client.get(f"{path}?style=python").text == ours.text
    assert client.get(f"{path}?style=tf-slim").text == (
        "import tensorflow.compat.v1 as tf\n"
        "import tf_slim as slim\n"
        "from nets import lenet\n"
        "\n"
        "tf.disable_v2_behavior()\n"
        "\n"
        "images = tf.placeholder(tf.float32, [None, 28, 28, 1])\n"
        "with slim.arg_scope(lenet.lenet_arg_scope()):\n"
        "    with slim.arg_scope([slim.conv2d], activation_fn=tf.nn.elu):\n"
        "        net, end_points = lenet.lenet(images, num_classes=10, is_training=False)\n"
    )


def test_what_tf_slim_cannot_express_is_a_problem_with_its_place(client: TestClient) -> None:
    scopes = [{"ops": ["conv2d"], "args": {"rate": 1}, "layers": ["*1"], "force": True}]
    path = f"/v1/builds/{build(client, scopes=scopes)}/code"
    assert client.get(path).status_code == 200
    assert problem(client.get(f"{path}?style=tf-slim")) == {
        "type": "/docs#problem-unprocessable",
        "title": "The request cannot be carried out",
        "status": 422,
        "detail": "2 problems; the first: /scopes/0/layers: TF-Slim cannot limit a scope to "
        "layers: it reaches every call of its ops.",
        "errors": [
            {
                "pointer": "/scopes/0/layers",
                "message": "TF-Slim cannot limit a scope to layers: it reaches every call of its "
                "ops.",
                "received": ["*1"],
                "suggestion": None,
            },
            {
                "pointer": "/scopes/0/force",
                "message": "TF-Slim cannot force a scope: what the network passes to a call beats "
                "it.",
                "received": True,
                "suggestion": None,
            },
        ],
    }


def test_an_unknown_style_is_refused_with_the_nearest(client: TestClient) -> None:
    body = problem(client.get(f"/v1/builds/{build(client)}/code?style=tf_slim"))
    assert body["type"] == "/docs#problem-invalid-query"
    assert body["detail"] == (
        "Query parameter style does not accept 'tf_slim'. Did you mean 'tf-slim'?"
    )
