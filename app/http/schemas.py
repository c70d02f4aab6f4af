"""What OpenAPI says about bodies: they are read raw, so nothing else would describe them."""

from collections.abc import Iterable
from typing import Any, get_args

from app.engine import Precision, RuntimeName
from app.errors import ProblemKind, ProblemKinds
from app.http.problems import MEDIA_TYPE, STATUSES
from model_zoo import BuildSpec, list_architectures, list_ops

Schema = dict[str, Any]

_STRING: Schema = {"type": "string"}
_INTEGER: Schema = {"type": "integer"}
_ANY_OBJECT: Schema = {"type": "object", "additionalProperties": True}
_BINARY: Schema = {"type": "string", "format": "binary"}
_SHAPE: Schema = {"type": "array", "items": {"type": ["integer", "null"]}}
_WARNINGS: Schema = {"type": "array", "items": _STRING}

SPEC_EXAMPLES: dict[str, Any] = {
    "smallest": {
        "summary": "An architecture as published",
        "value": {"architecture": "mobilenet_v1_025"},
    },
    "nested scopes": {
        "summary": "Four nested levels",
        "value": {
            "architecture": "inception_v3",
            "scopes": [
                {
                    "ops": ["conv2d", "separable_conv2d"],
                    "args": {
                        "activation_fn": "relu6",
                        "weights_initializer": {
                            "name": "truncated_normal_initializer",
                            "stddev": 0.09,
                        },
                        "normalizer_fn": "batch_norm",
                    },
                },
                {
                    "ops": ["batch_norm"],
                    "args": {"decay": 0.997, "epsilon": 0.001, "scale": True},
                },
                {
                    "ops": ["conv2d"],
                    "args": {"weights_regularizer": {"name": "l2_regularizer", "scale": 0.0001}},
                },
                {"ops": ["separable_conv2d"], "args": {"weights_regularizer": None}},
            ],
        },
    },
}


def _object(required: list[str], **properties: Schema) -> Schema:
    return {"type": "object", "required": required, "properties": properties}


def _list_of(kind: str, **properties: Schema) -> Schema:
    item = _object(list(properties), **properties)
    return _object([kind], **{kind: {"type": "array", "items": item}})


_NAMING: dict[str, Schema] = {
    "build": {"type": "string", "pattern": "^[0-9a-f]{32}$"},
    "version": {"type": "integer", "minimum": 1, "description": "The next, if not given."},
    "labels": {
        "type": "array",
        "items": {"type": "string", "pattern": "^[A-Za-z0-9._-]{1,64}$"},
        "maxItems": 16,
    },
    "engine": {"type": ["string", "null"], "enum": [*get_args(RuntimeName), None]},
    "precision": {"type": ["string", "null"], "enum": [*get_args(Precision), None]},
    "pinned": {"type": "boolean", "description": "Keep it in memory, and load it at the start."},
}
_MODEL: dict[str, Schema] = {
    "name": _STRING,
    "version": _INTEGER,
    "build": _STRING,
    "labels": _WARNINGS,
    "options": _object(
        ["engine", "precision", "pinned"],
        **{key: _NAMING[key] for key in ("engine", "precision", "pinned")},
    ),
    "created": {"type": "string", "format": "date-time"},
    "state": {"type": "string", "enum": ["unavailable", "loading", "ready", "unloading"]},
    "reason": {**_STRING, "description": "Why it is unavailable."},
    "links": {"type": "object", "additionalProperties": _STRING},
}


def components() -> dict[str, Schema]:
    """Return the schemas that the routes refer to."""
    spec = BuildSpec.model_json_schema(ref_template="#/components/schemas/{model}")
    parts: dict[str, Schema] = spec.pop("$defs")
    spec["properties"]["architecture"]["enum"] = list(list_architectures())
    parts["ScopeLevel"]["properties"]["ops"]["items"]["enum"] = list(list_ops())
    parts["Sources"] = spec["properties"]["weights"]
    spec["properties"]["weights"] = {"$ref": "#/components/schemas/Sources"}
    build = _object(
        ["id", "architecture", "created", "spec", "totals", "restore", "warnings", "links"],
        id={"type": "string", "pattern": "^[0-9a-f]{32}$"},
        architecture=_STRING,
        created={"type": "string", "format": "date-time"},
        spec={"$ref": "#/components/schemas/BuildSpec"},
        input_shape=_SHAPE,
        output_shape=_SHAPE,
        end_points={"type": "object", "additionalProperties": _SHAPE},
        totals=_ANY_OBJECT,
        restore={
            "oneOf": [{"type": "null"}, _ANY_OBJECT],
            "description": "What the sources of the weights give; null where all are random.",
        },
        warnings=_WARNINGS,
        links={"type": "object", "additionalProperties": _STRING},
    )
    array = _object(["shape", "data"], shape=_SHAPE, data={"type": "array", "items": {}})
    best = _object(["class", "probability"], **{"class": _INTEGER}, probability={"type": "number"})
    tensor = _object(["name", "dtype", "shape"], name=_STRING, dtype=_STRING, shape=_SHAPE)
    weights = {
        "id": {"type": "string", "pattern": "^[0-9a-f]{64}$"},
        "name": _STRING,
        "format": _STRING,
        "size_bytes": _INTEGER,
        "created": {"type": "string", "format": "date-time"},
        "tensor_count": _INTEGER,
        "parameters": _INTEGER,
        "global_step": {"type": ["integer", "null"]},
        "left_out": {"type": "array", "items": _STRING},
        "links": {"type": "object", "additionalProperties": _STRING},
    }
    upload = {
        "id": {**_STRING, "description": "The request's id."},
        "size_bytes": {"type": ["integer", "null"]},
        "received_bytes": _INTEGER,
        "state": {"type": "string", "enum": ["receiving", "reading"]},
    }
    limit = _object(
        ["name", "value", "counts", "setting"],
        name=_STRING,
        value={"type": "number"},
        counts=_STRING,
        setting=_STRING,
    )
    return {
        **parts,
        "BuildSpec": spec,
        "Build": build,
        "Builds": _object(
            ["builds", "next"],
            builds={"type": "array", "items": _ANY_OBJECT},
            next={"type": ["string", "null"]},
        ),
        "Architectures": _list_of(
            "architectures",
            name=_STRING,
            parameters=_INTEGER,
            multiply_adds=_INTEGER,
            input_shape={"type": "array", "items": _INTEGER},
            classes=_INTEGER,
            background_class={"type": "boolean"},
            preprocessing=_STRING,
            source=_STRING,
            href=_STRING,
        ),
        "Ops": _list_of("ops", name=_STRING, href=_STRING),
        "Prediction": _object(
            ["build", "architecture", "rows", "preprocessing", "warnings"],
            build=_STRING,
            architecture=_STRING,
            rows=_INTEGER,
            preprocessing={"type": ["string", "null"]},
            predictions={"type": "array", "items": {"type": "array", "items": best}},
            outputs={"type": "object", "additionalProperties": array},
            warnings=_WARNINGS,
        ),
        "Instances": {
            "oneOf": [
                _object(
                    ["instances"],
                    instances={
                        "type": "array",
                        "items": {},
                        "description": 'Rows: nested arrays of the input shape, or {"b64": image}.',
                    },
                ),
                _object(["b64"], b64={**_STRING, "description": "One image in base64."}),
            ]
        },
        "Health": _object(
            ["status", "ready", "worker"],
            status=_STRING,
            ready={"type": "boolean"},
            worker=_ANY_OBJECT,
        ),
        "Weights": _object(
            [*weights, "tensors"], **weights, tensors={"type": "array", "items": tensor}
        ),
        "WeightsList": _object(
            ["weights", "uploads"],
            weights={"type": "array", "items": _object([*weights], **weights)},
            uploads={"type": "array", "items": _object([*upload], **upload)},
        ),
        "PublishedWeights": _list_of(
            "published", name=_STRING, architecture=_STRING, url=_STRING, spec=_ANY_OBJECT
        ),
        "RestorePlan": _object(
            ["parameters", "restored_parameters", "share", "sources", "variables"],
            parameters=_INTEGER,
            restored_parameters=_INTEGER,
            share={"type": "number"},
            sources={"type": "array", "items": _ANY_OBJECT},
            variables={"type": "array", "items": _ANY_OBJECT},
        ),
        "Model": _object([*_MODEL], **_MODEL),
        "Models": _object(
            ["models", "next"],
            models={"type": "array", "items": _object([*_MODEL], **_MODEL)},
            next={"type": ["string", "null"]},
        ),
        "Naming": _object(["build"], **_NAMING),
        "Profile": _profile(),
        "Comparison": _comparison(array, best),
        "Limits": _object(["limits"], limits={"type": "array", "items": limit}),
        "Problem": _problem(),
    }


def _profile() -> Schema:
    number: Schema = {"type": "number"}
    seconds: Schema = {
        "type": ["number", "null"],
        "description": "Null if the layer does not lead to the output.",
    }
    share: Schema = {"type": ["number", "null"], "description": "Of the sum."}
    layer = {
        "name": _STRING,
        "op": _STRING,
        "output_shape": _SHAPE,
        "parameters": _INTEGER,
        "multiply_adds": {**_INTEGER, "description": "Of one row."},
        "seconds": seconds,
        "share": share,
        "gigaops_per_second": {
            "type": ["number", "null"],
            "description": "Of all rows; a multiply-add is two operations.",
        },
        "kernels": {**_WARNINGS, "description": "What the engine calls them, where it does."},
        "computed_with": {
            "type": ["string", "null"],
            "description": "The layer whose kernel computes this one too.",
        },
    }
    other = _object(
        ["kernel", "count", "seconds", "share"],
        kernel=_STRING,
        count=_INTEGER,
        seconds=number,
        share=share,
    )
    totals = {
        "layers": _INTEGER,
        "parameters": _INTEGER,
        "multiply_adds": _INTEGER,
        "seconds": {**number, "description": "The sum of the layers and the others."},
        "other_seconds": number,
        "call_seconds": {
            "type": ["number", "null"],
            "description": "Of each step, to call it; only where steps are run one by one.",
        },
        "network_seconds": {**number, "description": "Of the whole, measured by itself."},
        "gigaops_per_second": {"type": ["number", "null"]},
    }
    facts = {
        "build": _STRING,
        "architecture": _STRING,
        "engine": {**_STRING, "enum": ["onnxruntime", "tensorflow"]},
        "precision": _STRING,
        "device": _STRING,
        "measured": {**_STRING, "description": "How."},
        "rows": _INTEGER,
        "runs": {**_INTEGER, "description": "Those that were made; seconds are their medians."},
        "runs_asked": _INTEGER,
    }
    return _object(
        [*facts, "layers", "other", "totals"],
        **facts,
        layers={"type": "array", "items": _object([*layer], **layer)},
        other={"type": "array", "items": other, "description": "What is no layer's."},
        totals=_object([*totals], **totals),
    )


def _comparison(array: Schema, best: Schema) -> Schema:
    fraction: Schema = {"type": ["number", "null"]}
    agreement = {
        "same_top_1": {**fraction, "description": "The share of the rows."},
        "largest_difference": {**fraction, "description": "Of the outputs."},
        "mean_kl_divergence": {**fraction, "description": "Of the second from the first, in nats."},
    }
    result = _object(
        ["model", "build", "version", "architecture"],
        model={**_STRING, "description": "As the query names it."},
        build=_STRING,
        version=_INTEGER,
        architecture=_STRING,
        engine={"type": ["string", "null"]},
        precision={"type": ["string", "null"]},
        preprocessing={"type": ["string", "null"]},
        predictions={"type": "array", "items": {"type": "array", "items": best}},
        outputs={"type": "object", "additionalProperties": array},
        seconds={"type": "object", "additionalProperties": {"type": "number"}},
        batch_rows={**_INTEGER, "description": "With those of other requests."},
        warnings=_WARNINGS,
        with_reference=_object([*agreement], **agreement),
        problem={**_ANY_OBJECT, "description": "In the place of the answer, where there is none."},
    )
    difference = _object(
        ["pointer", "values"],
        pointer={**_STRING, "description": "Into the normalized specs."},
        values={**_ANY_OBJECT, "description": "By model; one that lacks it is left out."},
    )
    pair = {
        "models": {"type": "array", "items": _STRING, "minItems": 2, "maxItems": 2},
        **agreement,
    }
    return _object(
        ["rows", "reference", "results", "pairs", "spec_differences", "more_spec_differences"],
        rows=_INTEGER,
        reference={**_STRING, "description": "The first model that answered."},
        results={"type": "array", "items": result},
        pairs={"type": "array", "items": _object([*pair], **pair)},
        spec_differences={"type": "array", "items": difference},
        more_spec_differences={**_INTEGER, "description": "How many are left out."},
    )


def _problem() -> Schema:
    item = _object(
        ["pointer", "message", "received", "suggestion"],
        pointer={**_STRING, "description": "JSON pointer into the body."},
        parameter={**_STRING, "description": "The query parameter, where one is at fault."},
        message=_STRING,
        received={},
        suggestion={"type": ["string", "null"]},
    )
    return _object(
        ["type", "title", "status", "detail", "request_id", "errors"],
        type={"type": "string", "enum": [f"/docs#problem-{kind}" for kind in STATUSES]},
        title=_STRING,
        status=_INTEGER,
        detail=_STRING,
        request_id=_STRING,
        layer={**_STRING, "description": "The layer that refused (build-refused)."},
        scopes={**_WARNINGS, "description": "The scopes active there (build-refused)."},
        errors={"type": "array", "items": item},
    )


def answer(description: str, component: str | None = None) -> dict[str, Any]:
    """Return the description of a JSON answer."""
    schema = {"$ref": f"#/components/schemas/{component}"} if component else _ANY_OBJECT
    return {"description": description, "content": {"application/json": {"schema": schema}}}


def answer_as(
    description: str, component: str, media_types: Iterable[str]
) -> dict[int | str, dict[str, Any]]:
    """Return the description of an answer in several forms, of which JSON has a schema."""
    found = answer(description, component)
    others = {media_type.partition(";")[0] for media_type in media_types} - {"application/json"}
    found["content"] |= {media_type: {"schema": _STRING} for media_type in sorted(others)}
    return {200: found}


def problems(*kinds: ProblemKind) -> dict[int | str, dict[str, Any]]:
    """Return the descriptions of the kinds of problems that a route answers with.

    Every route refuses an unknown query parameter, so that kind is always among them.
    """
    titles: dict[int, list[str]] = {}
    every: ProblemKinds = ("invalid-query", *kinds)
    for name in every:
        titles.setdefault(STATUSES[name].status, []).append(STATUSES[name].title)
    content = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    return {
        status: {"description": "; ".join(found), "content": content}
        for status, found in sorted(titles.items())
    }


# What reading a body can end in, what a spec can, and what waiting for the worker can.
BODY_PROBLEMS: ProblemKinds = (
    "malformed-body",
    "slow-body",
    "body-too-large",
    "unsupported-type",
)
SPEC_PROBLEMS: ProblemKinds = (
    "malformed-json",
    "invalid-spec",
    "build-refused",
    "over-budget",
)
WORKER_PROBLEMS: ProblemKinds = (
    "overloaded",
    "worker-died",
    "worker-unavailable",
    "out-of-memory",
    "deadline-passed",
)


def _form(required: list[str], **fields: Schema) -> Schema:
    images: Schema = {
        "type": "array",
        "items": _BINARY,
        "description": "JPEG, PNG or WebP; one a row.",
    }
    arrays: Schema = {"type": "array", "items": _BINARY, "description": ".npy; a row or a batch."}
    return {"schema": _object(required, **fields, image=images, array=arrays)}


SPEC_BODY: Schema = {
    "required": True,
    "content": {
        "application/json": {
            "schema": {"$ref": "#/components/schemas/BuildSpec"},
            "examples": SPEC_EXAMPLES,
        }
    },
}
PREDICT_BODY: Schema = {
    "required": True,
    "content": {
        "image/jpeg": {"schema": _BINARY},
        "image/png": {"schema": _BINARY},
        "image/webp": {"schema": _BINARY},
        "application/x-npy": {"schema": _BINARY},
        "application/json": {"schema": {"$ref": "#/components/schemas/Instances"}},
        "multipart/form-data": _form([]),
    },
}
INFER_BODY: Schema = {
    "required": True,
    "content": {
        "multipart/form-data": _form(
            ["spec"],
            spec={
                "type": "string",
                "description": "The build spec, as JSON.",
                "example": '{"architecture": "mobilenet_v1_025"}',
            },
        )
    },
}
SOURCES_BODY: Schema = {
    "required": True,
    "content": {
        "application/json": {
            "schema": {"$ref": "#/components/schemas/Sources"},
            "examples": {
                "another head": {
                    "summary": "All but the last layer",
                    "value": {
                        "source": "checkpoint",
                        "id": "0" * 64,
                        "exclude": ["InceptionV3/Logits*", "InceptionV3/AuxLogits*"],
                    },
                },
            },
        }
    },
}
MODEL_BODY: Schema = {
    "required": True,
    "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Naming"}}},
}
UPLOAD_BODY: Schema = {
    "required": True,
    "content": {
        "application/octet-stream": {"schema": _BINARY},
        "multipart/form-data": {
            "schema": _object(["file"], file={"type": "array", "items": _BINARY}),
        },
    },
}
