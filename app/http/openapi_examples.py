"""Examples of requests. All work in the order of the groups: some use what those before them make.

Ids are digests, so those of what the examples make are known. A test sends every example.
"""

from typing import Any

Schema = dict[str, Any]

SMALLEST: Schema = {"architecture": "mobilenet_v1_025"}
ELU: Schema = {**SMALLEST, "scopes": [{"ops": ["conv2d"], "args": {"activation_fn": "elu"}}]}
_SMALLEST_ID = "914628701d01143499dcce0ad890739d"
_ELU_ID = "01563b2015e0893970caf096780636b3"

_CONV_ARGS = {
    "activation_fn": "relu6",
    "weights_initializer": {"name": "truncated_normal_initializer", "stddev": 0.09},
    "normalizer_fn": "batch_norm",
}
_SCOPES = [
    {"ops": ["conv2d", "separable_conv2d"], "args": _CONV_ARGS},
    {"ops": ["batch_norm"], "args": {"decay": 0.997, "epsilon": 0.001, "scale": True}},
    {
        "ops": ["conv2d"],
        "args": {"weights_regularizer": {"name": "l2_regularizer", "scale": 0.0001}},
    },
    {"ops": ["separable_conv2d"], "args": {"weights_regularizer": None}},
]
_HEAD = "MobilenetV1/Logits*"
_FROM_BUILD = {"source": "build", "id": _SMALLEST_ID, "exclude": [_HEAD]}


def _example(summary: str, value: object) -> Schema:
    return {"summary": summary, "value": value}


SPECS = {
    "smallest": _example("An architecture as published", SMALLEST),
    "one level": _example("One level around it", ELU),
    "nested scopes": _example(
        "Four nested levels", {"architecture": "inception_v3", "scopes": _SCOPES}
    ),
    "another head": _example(
        "Another number of classes, with the other weights of the first build",
        {**SMALLEST, "params": {"num_classes": 11}, "weights": _FROM_BUILD},
    ),
}
TWO_SPECS = {"one level": _example("Without and with a level", {"a": SMALLEST, "b": ELU})}
SOURCES = {
    "a build": _example("All but the last layer of a build", _FROM_BUILD),
    "an upload": _example(
        "All but the last layer of an upload: put its id here",
        {"source": "checkpoint", "id": "0" * 64, "exclude": [_HEAD]},
    ),
}
SWEEPS = {
    "two axes": _example(
        "Six builds: three widths, two activations",
        {
            "spec": ELU,
            "axes": {
                "/params/depth_multiplier": [0.25, 0.5, 1.0],
                "/scopes/0/args/activation_fn": ["relu", "elu"],
            },
        },
    )
}
SWEEP_ROWS = {"two rows": _example("The first two rows", {"rows": [0, 1]})}
LEVELS = {"one level": _example("One level", {"levels": ELU["scopes"]})}
NAMINGS = {"a label": _example("With a label", {"build": _SMALLEST_ID, "labels": ["stable"]})}
# Four pixels: a real image would fill the page.
_PNG = (
    "iVBORw0KGgoAAAANSUhEUgAAAAIAAAACCAIAAAD91JpzAAAAFklEQVR42mO4pqHxvZ6BgcHA89Wj7QAj7gWZ16j8gwAA"
    "AABJRU5ErkJggg=="
)
ROWS = {"an image": _example("An image in base64", {"instances": [{"b64": _PNG}]})}
V2_INFER = {
    "an image": _example(
        "An image, and its three best classes",
        {
            "inputs": [{"name": "image_bytes", "datatype": "BYTES", "shape": [1], "data": [_PNG]}],
            "outputs": [{"name": "probabilities", "parameters": {"classification": 3}}],
        },
    )
}
V2_INDEX = {"in memory": _example("Only models in memory", {"ready": True})}
V2_LOAD = {"as it is": _example("Without parameters", {})}
TFS_EXAMPLES = {"an image": _example("An image", {"examples": [{"image_bytes": {"b64": _PNG}}]})}
PROBLEM = {
    "type": "/docs#problem-invalid-spec",
    "title": "The build spec is not valid",
    "status": 422,
    "detail": "/scopes/0/args/pading: conv2d has no argument 'pading'. Did you mean 'padding'?",
    "request_id": "694411a66d6d5d3076b8356ffaef7eb0",
    "errors": [
        {
            "pointer": "/scopes/0/args/pading",
            "message": "conv2d has no argument 'pading'. Did you mean 'padding'?",
            "received": "pading",
            "suggestion": "padding",
        }
    ],
}

# The parameters that a route cannot do without, by their names; `name` by the path before it.
_PARAMETERS = {
    "a": _SMALLEST_ID,
    "b": _ELU_ID,
    "build_id": _SMALLEST_ID,
    "builds": f"{_SMALLEST_ID},{_ELU_ID}",
    "layer": "MobilenetV1/Conv2d_0",
    "sweep_id": "988f9ee9f2fd00d8bbd66944b038f05f",
    "version": "1",
    "weights_id": "0" * 64,
}
_NAMES = {
    "/v1/architectures/": "inception_v3",
    "/v1/ops/": "conv2d",
    "/v1/scopes/": "house",
    "/v1/models/": "demo",
    "/v2/": "demo",
}


def add_parameter_examples(paths: dict[str, Any]) -> None:
    """Give each parameter that a route needs an example, in the paths of the document."""
    for path, operations in paths.items():
        names = [name for prefix, name in _NAMES.items() if path.startswith(prefix)]
        examples = {**_PARAMETERS, **({"name": names[0]} if names else {})}
        for operation in operations.values():
            for parameter in operation.get("parameters", []):
                if parameter.get("required"):
                    parameter["example"] = examples[parameter["name"]]
