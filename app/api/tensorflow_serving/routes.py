"""TensorFlow Serving's REST protocol, under `/v1/models`.

One handler for each method reads the whole path by itself: a name may hold dots, what ends it is a
colon, and the protocol's words may be of either case. The paths that OpenAPI shows lead to it too.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial

from fastapi import APIRouter
from starlette.convertors import Convertor, register_url_convertor
from starlette.requests import Request
from starlette.responses import Response

from app.api.parts import ExchangeDep, InferenceDep, ModelsDep
from app.api.tensorflow_serving.requests import CLASSIFY, NAME, PREDICT
from app.arrays import OUTPUT, PROBABILITIES
from app.engine import Rows
from app.errors import ProblemItem, ProblemKinds, ServiceError
from app.http.bodies import read_body
from app.http.direct_route import DirectRoute
from app.http.exchange import HttpExchange
from app.http.json_answer import JsonAnswer
from app.http.openapi import INFERENCE_PROBLEMS, answer, problems
from app.http.routing import needs, runs_inference
from app.http.warning_headers import add_warnings
from app.protocols.tensorflow_serving import documents, reading, writing
from app.protocols.tensorflow_serving.paths import ModelPath, PathError, malformed, read_path
from app.protocols.tensorflow_serving.signatures import Inputs
from app.serving.class_names import check_names_bytes, names_bytes
from app.serving.exchange import while_connected
from app.serving.inference import Inference, Input
from app.serving.models import Models, ModelVersion
from app.serving.outputs import without_blocking
from app.tasks import ReadTensorFlowServing
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
_ANY_MODEL = f"{_ANYTHING}:{{action}}"

router = APIRouter(tags=["tensorflow serving"], route_class=DirectRoute)

_PATH_PROBLEMS: ProblemKinds = ("unknown-model", "malformed-request")


@router.get(
    "/v1/models/{name}",
    operation_id="tfsGetModelStatus",
    summary="Get the states of a model's versions",
    openapi_extra=NAME,
    responses={
        200: answer("Of all versions, or of the one in the path.", documents.TfsStatusBody),
        **problems(*_PATH_PROBLEMS),
    },
)
@router.get(
    "/v1/models/{name}/metadata",
    operation_id="tfsGetModelMetadata",
    summary="Get a model's signatures",
    openapi_extra=NAME,
    responses={
        200: answer("The signatures.", documents.TfsMetadataBody),
        **problems(*_PATH_PROBLEMS),
    },
)
@router.get(_ANYTHING, include_in_schema=False)
@needs("read")
async def read_model(request: Request, models: ModelsDep) -> Response:
    """A version is AVAILABLE if its next request will be answered.

    That request may have to load the model first.
    """
    path = _model_path(request)
    if path.action == "metadata":
        model = await _find(models, path)
        network = model.network
        body: documents.TfsMetadataBody | documents.TfsStatusBody = documents.metadata(
            path.name,
            model.version,
            Inputs(network.input_shape, network.takes_images),
            network.output_shape,
        )
    else:
        body = documents.status(
            (model.version, models.state(model.ref)) for model in await _versions(models, path)
        )
    return JsonAnswer(body, headers={"Cache-Control": "no-store"})


@router.post(
    "/v1/models/{name}:predict",
    operation_id="tfsPredict",
    summary="Run a model, as TensorFlow Serving does",
    openapi_extra=PREDICT,
    responses={
        200: answer("The output, in the request's format.", writing.TfsPredictionsBody),
        **problems(*_PATH_PROBLEMS, *INFERENCE_PROBLEMS),
    },
)
@router.post(
    "/v1/models/{name}:classify",
    operation_id="tfsClassify",
    summary="Score every class, as TensorFlow Serving does",
    openapi_extra=CLASSIFY,
    responses={
        200: answer("The label and score of every class, in order.", writing.TfsScoresBody),
        **problems(*_PATH_PROBLEMS, *INFERENCE_PROBLEMS),
    },
)
@router.post(
    "/v1/models/{name}:regress",
    operation_id="tfsRegress",
    summary="Refused: no model is a regressor",
    status_code=400,
    openapi_extra=CLASSIFY,
    responses=problems(*_PATH_PROBLEMS, "unprocessable"),
)
@router.post(_ANY_MODEL, include_in_schema=False)
@runs_inference
@needs("infer")
async def run_model(
    request: Request,
    models: ModelsDep,
    inference: InferenceDep,
    exchange: ExchangeDep,
) -> Response:
    """The body is JSON whatever its Content-Type, and may be gzipped.

    Arrays are used as they are. An image, `{"b64": ...}`, is preprocessed as the model expects.
    """
    path = _model_path(request)
    model = await _find(models, path)
    exchange.name_model(model.name)
    _check_action(path, model)
    inference.check_rows(model.network, 1)
    body = await read_body(request, inference.settings, encodings=("gzip",))
    rows, is_column, warnings = await _read(exchange, inference, model, path, body)
    if path.action == "classify":
        classes = model.network.classes or 0
        _check_scores(rows.count, classes)
        size = names_bytes(model.class_names, rows.count, classes)
        check_names_bytes(size)
        warnings = [*warnings, *model.warnings]
        result = await inference.infer(exchange, model, rows, (PROBABILITIES,))
        with exchange.timings.measure("encode"):
            write = partial(writing.results, result.arrays[PROBABILITIES], model.class_names)
            text = await without_blocking(write, result.arrays, size)
    else:
        result = await inference.infer(exchange, model, rows, (OUTPUT,))
        with exchange.timings.measure("encode"):
            write = partial(writing.predictions, result.arrays[OUTPUT], is_column=is_column)
            text = await without_blocking(write, result.arrays)
    response = Response(text, media_type="application/json")
    add_warnings(response, warnings)
    return response


@router.post(_ANYTHING, include_in_schema=False)
@router.post("/v1/models", include_in_schema=False)
@needs("infer")
async def refuse_path(request: Request) -> Response:
    """The protocol has no such path for POST."""
    raise ServiceError("malformed-request", str(malformed(request.method, _raw_path(request))))


async def _read(
    exchange: HttpExchange,
    inference: Inference,
    model: ModelVersion,
    path: ModelPath,
    body: bytes,
) -> tuple[Rows, bool, Sequence[str]]:
    """Return the rows of a body, whether they came as one column, and warnings about images."""
    network, settings = model.network, inference.settings
    expected = reading.ExpectedBody(
        path.action,
        network.input_shape,
        network.takes_images,
        settings.max_batch,
        settings.max_instance_nodes,
    )
    if len(body) <= _READ_HERE_BYTES:
        with exchange.timings.measure("decode"):
            contents, buffers = reading.parse_body(body, expected)
    else:
        task = ReadTensorFlowServing(expected)
        reply = await while_connected(exchange, inference.engine.read(task, [body]))
        exchange.timings.add(reply.seconds)
        contents, buffers = reply.result, reply.buffers
    if not contents.places:
        return Rows(buffers[0], contents.rows), contents.is_column, ()
    images = [
        Input("image", place, bytes(data))
        for place, data in zip(contents.places, buffers, strict=True)
    ]
    read = await inference.read(exchange, network, images)
    return read.rows, contents.is_column, read.warnings


def _raw_path(request: Request) -> str:
    path: bytes = request.scope.get("raw_path") or request.scope["path"].encode()
    return path.partition(b"?")[0].decode("ascii", "replace")


def _model_path(request: Request) -> ModelPath:
    try:
        return read_path(request.method, _raw_path(request))
    except PathError as error:
        raise ServiceError("malformed-request", str(error)) from error


def _check_action(path: ModelPath, model: ModelVersion) -> None:
    """Raises: ServiceError for what the model has no signature for."""
    name = clip(path.name)
    if path.action == "regress":
        raise ServiceError(
            "unprocessable",
            f"Model {name!r} has no signature for :regress: networks here are classifiers. "
            "Use :predict or :classify.",
        )
    if path.action == "classify" and model.network.classes is None:
        raise ServiceError(
            "unprocessable",
            f"Model {name!r} has no signature for :classify: its output is not class scores. "
            "Use :predict.",
        )


def _check_scores(rows: int, classes: int) -> None:
    if rows * classes > _MAX_SCORES:
        raise InputError(
            f"The answer would have {rows * classes} labels and scores; the limit is "
            f"{_MAX_SCORES}. Send fewer rows, or use :predict."
        )


async def _find(models: Models, path: ModelPath) -> ModelVersion:
    """Return the version that is to do something.

    Raises: ServiceError, in the protocol's words.
    """
    which = f"Specific({path.name[:200]}, {path.version})"
    if path.version is None:
        which = f"Latest({path.name[:200]})"
    with _in_the_protocols_words(models, path, f"Servable not found for request: {which}"):
        return await models.resolve(path.name, version=path.version, label=path.label)


async def _versions(models: Models, path: ModelPath) -> list[ModelVersion]:
    """Return the versions whose states are asked for.

    Raises: ServiceError, in the protocol's words.
    """
    which = "any versions" if path.version is None else f"version {path.version}"
    sentence = f"Could not find {which} of model {path.name[:200]}"
    with _in_the_protocols_words(models, path, sentence):
        if path.version is None and path.label is None:
            return await models.versions_of(path.name)
        return [await models.resolve(path.name, version=path.version, label=path.label)]


@contextmanager
def _in_the_protocols_words(models: Models, path: ModelPath, sentence: str) -> Iterator[None]:
    """Answer an unknown model with a sentence; what we say of it stands beside."""
    try:
        yield
    except ServiceError as error:
        if error.kind != "unknown-model":
            raise
        name, label = path.name, path.label
        item: ProblemItem
        item = {"pointer": "", "message": error.detail, "received": name, "suggestion": None}
        if label is not None and models.records.versions(name):
            sentence = f"Unrecognized servable version label: {clip(label)}"
            raise ServiceError("unprocessable", sentence, errors=[item]) from error
        raise ServiceError("unknown-model", sentence, errors=[item]) from error
