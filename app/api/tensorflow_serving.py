"""TensorFlow Serving's REST protocol, under `/v1/models`.

One handler for each method reads the whole path by itself: a name may hold dots, what ends it is a
colon, and the protocol's words may be of either case. The paths that OpenAPI shows lead to it too.
"""

import asyncio

from fastapi import APIRouter
from starlette.convertors import Convertor, register_url_convertor
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from app.api import schemas
from app.api.body import read_body
from app.api.inputs import Input
from app.api.open_inference_schemas import answers
from app.api.services import Services, Shared
from app.api.tensorflow_schemas import CLASSIFY, NAME, PREDICT
from app.compute.engine import Rows
from app.envelope import timings
from app.problems import ServiceError
from app.protocols.names import OUTPUT, PROBABILITIES
from app.protocols.tensorflow_serving import documents, reading, writing
from app.protocols.tensorflow_serving.paths import PathError, Target, read_path
from app.protocols.tensorflow_serving.signatures import Inputs
from app.serving.inference import (
    check_rows,
    infer,
    read_inputs,
    while_connected,
)
from app.serving.models import resolve, versions_of
from app.serving.served import Served
from app.wording import clip
from model_zoo import InputError

# Smaller bodies are read sooner here than they get to a reader process and back.
_READ_HERE_BYTES = 64 * 1024
# Labels and scores of one answer: 22 bytes of JSON each.
_MAX_SCORES = 1_000_000


class _RootConvertor(Convertor[str]):
    """Matches the protocol's root in letters of either case."""

    regex = "(?i:v1/models)"

    def convert(self, value: str) -> str:
        return value

    def to_string(self, value: str) -> str:
        return value


register_url_convertor("tensorflow_serving_root", _RootConvertor())
_ANYTHING = "/{root:tensorflow_serving_root}/{path:path}"

router = APIRouter(tags=["tensorflow serving"])

_FINDING = ("unknown-model", "malformed-request")
_INFERENCE = (
    *_FINDING,
    "malformed-json",
    "invalid-input",
    "unprocessable",
    "weights-refused",
    *schemas.BODY_PROBLEMS,
    *schemas.WORKER_PROBLEMS,
)


@router.get(
    "/v1/models/{name}",
    summary="Tell the states of a model's versions",
    openapi_extra=NAME,
    responses=answers("Of all versions, or of the one asked for.", *_FINDING),
)
@router.get(
    "/v1/models/{name}/metadata",
    summary="Tell a model's signatures",
    openapi_extra=NAME,
    responses=answers("The signatures.", *_FINDING),
)
@router.get(_ANYTHING, include_in_schema=False)
async def read_model(request: Request, services: Shared) -> Response:
    """As TensorFlow Serving: a version is AVAILABLE where its next request is answered.

    That may have to bring the model into memory first.
    """
    target = _target(request)
    if target.action == "metadata":
        served = await _find(services, target)
        servable = served.servable
        body = documents.metadata(
            target.name,
            served.version,
            Inputs(servable.input_shape, servable.takes_images),
            servable.output_shape,
        )
    else:
        body = documents.status(
            (served.version, services.loading.state(served.ref))
            for served in await _versions(services, target)
        )
    return JSONResponse(body, headers={"Cache-Control": "no-store"})


@router.post(
    "/v1/models/{name}:predict",
    summary="Run a model, as TensorFlow Serving",
    openapi_extra=PREDICT,
    responses=answers("The output, in the request's format.", *_INFERENCE),
)
@router.post(
    "/v1/models/{name}:classify",
    summary="Score every class, as TensorFlow Serving",
    openapi_extra=CLASSIFY,
    responses=answers("Labels and scores of every class, in their order.", *_INFERENCE),
)
@router.post(
    "/v1/models/{name}:regress",
    summary="Refused: no model here is a regressor",
    openapi_extra=CLASSIFY,
    responses=answers("Never.", *_FINDING, "unprocessable"),
)
@router.post(_ANYTHING, include_in_schema=False)
@router.post("/v1/models", include_in_schema=False)
async def run_model(request: Request, services: Shared) -> Response:
    """The body is JSON whatever its Content-Type says, and may be gzipped.

    Arrays are taken as they are. An image, `{"b64": ...}`, is preprocessed as the model expects.
    """
    target = _target(request)
    served = await _find(services, target)
    request.state.model = served.name
    _check_action(target, served)
    check_rows(served.servable, 1, services.settings)
    body = await read_body(request, services.settings, encodings=("gzip",))
    rows, is_column = await _read(request, services, served, target, body)
    clock = timings(request)
    if target.action == "classify":
        _check_scores(rows.count, served.servable.classes or 0)
        answer = await infer(request, services, served, rows, (PROBABILITIES,))
        clock.seconds.update(answer.seconds)
        with clock.measure("encode"):
            text = await asyncio.to_thread(writing.results, answer.arrays[PROBABILITIES])
    else:
        answer = await infer(request, services, served, rows, (OUTPUT,))
        clock.seconds.update(answer.seconds)
        with clock.measure("encode"):
            text = await asyncio.to_thread(
                writing.predictions, answer.arrays[OUTPUT], is_column=is_column
            )
    return Response(text, media_type="application/json")


async def _read(
    request: Request, services: Services, served: Served, target: Target, body: bytes
) -> tuple[Rows, bool]:
    """Return the rows of a body, and whether they came as one column."""
    servable, settings = served.servable, services.settings
    arguments = reading.Question(
        target.action,
        servable.input_shape,
        servable.takes_images,
        settings.max_batch,
        settings.max_instance_nodes,
    ).arguments()
    clock = timings(request)
    if len(body) <= _READ_HERE_BYTES:
        with clock.measure("decode"):
            result, buffers = reading.read(arguments, [body])
    else:
        work = services.engine.read("tensorflow_serving", arguments, [body])
        reply = await while_connected(request, work)
        result, buffers = dict(reply.result), reply.buffers
        clock.seconds["decode"] = reply.seconds["decode"]
    contents = reading.Contents(**result)
    if not contents.places:
        return Rows(buffers[0], contents.rows), contents.is_column
    images = [
        Input("image", place, bytes(data))
        for place, data in zip(contents.places, buffers, strict=True)
    ]
    decoded = await read_inputs(request, services, servable, images)
    clock.seconds["decode"] = clock.seconds.get("decode", 0) + decoded.seconds
    return decoded.rows, contents.is_column


def _target(request: Request) -> Target:
    path = request.scope.get("raw_path") or request.scope["path"].encode()
    try:
        return read_path(request.method, path.partition(b"?")[0].decode("ascii", "replace"))
    except PathError as error:
        raise ServiceError("malformed-request", str(error)) from error


def _check_action(target: Target, served: Served) -> None:
    """Raises: ServiceError for what the model has no signature for."""
    name = clip(target.name)
    if target.action == "regress":
        raise ServiceError(
            "unprocessable",
            f"Model {name!r} has no signature for :regress: networks here are classifiers. "
            "Use :predict or :classify.",
        )
    if target.action == "classify" and served.servable.classes is None:
        raise ServiceError(
            "unprocessable",
            f"Model {name!r} has no signature for :classify: its output is no class scores. "
            "Use :predict.",
        )


def _check_scores(rows: int, classes: int) -> None:
    if rows * classes > _MAX_SCORES:
        raise InputError(
            f"The answer would have {rows * classes} labels and scores; the limit is "
            f"{_MAX_SCORES}. Send fewer rows, or use :predict."
        )


async def _find(services: Services, target: Target) -> Served:
    """Return the version that is to do something.

    Raises: ServiceError, in the protocol's words.
    """
    which = f"Specific({target.name[:200]}, {target.version})"
    if target.version is None:
        which = f"Latest({target.name[:200]})"
    sentence = f"Servable not found for request: {which}"
    return (await _found(services, target, sentence))[0]


async def _versions(services: Services, target: Target) -> list[Served]:
    """Return the versions whose states are asked for.

    Raises: ServiceError, in the protocol's words.
    """
    which = "any versions" if target.version is None else f"version {target.version}"
    sentence = f"Could not find {which} of model {target.name[:200]}"
    return await _found(
        services, target, sentence, all_versions=target.version is None and target.label is None
    )


async def _found(
    services: Services, target: Target, sentence: str, *, all_versions: bool = False
) -> list[Served]:
    """Return one version, or all; where there is none, what we say of it is beside the sentence."""
    name, label = target.name, target.label
    try:
        if all_versions:
            return await versions_of(services, name)
        return [await resolve(services, name, version=target.version, label=label)]
    except ServiceError as error:
        if error.kind != "unknown-model":
            raise
        errors = [{"pointer": "", "message": error.detail, "received": name, "suggestion": None}]
        if label is not None and services.models.versions(name):
            sentence = f"Unrecognized servable version label: {clip(label)}"
            raise ServiceError("unprocessable", sentence, errors=errors) from error
        raise ServiceError("unknown-model", sentence, errors=errors) from error
