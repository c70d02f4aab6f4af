"""`/v1/weights`: upload weight files, list, describe and remove them."""

import asyncio
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import Field
from starlette.requests import Request
from starlette.responses import Response
from typing_extensions import TypedDict  # pydantic takes no other before Python 3.12

from app.api.parts import BuildsDep, CheckpointsDep, SettingsDep, WeightImportsDep
from app.body_fields import Links
from app.errors import ServiceError
from app.http.bodies import check_size
from app.http.exchange import timings
from app.http.json_answer import JsonAnswer
from app.http.links import link
from app.http.openapi import BODY_PROBLEMS, answer, problems
from app.http.request_bodies import FILES
from app.http.routing import needs
from app.http.uploads import Receiver, begin, plain_name, receive
from app.store.errors import StoreError, disk_errors
from app.store.threads import on_files
from app.store.uploads import UploadState
from model_zoo import (
    Checkpoint,
    CheckpointDocument,
    CheckpointStore,
    PublishedDescription,
    WeightsError,
    describe_published,
)

router = APIRouter(prefix="/v1/weights", tags=["weights"])


class WeightsItemBody(CheckpointDocument):
    """Weights in a list, without their tensors."""

    links: Links


class TensorBody(TypedDict):
    """A tensor by the name that its file gives it."""

    name: str
    dtype: str
    shape: list[int]


class WeightsBody(WeightsItemBody):
    """Imported weights."""

    tensors: list[TensorBody]


class UploadBody(TypedDict):
    """An upload in progress."""

    id: Annotated[str, Field(description="The id of the request.")]
    size_bytes: int | None
    received_bytes: int
    state: UploadState


class WeightsListBody(TypedDict):
    """The weights that are kept, and the uploads in progress."""

    weights: list[WeightsItemBody]
    uploads: list[UploadBody]


class PublishedWeightsBody(TypedDict):
    """The published TF-Slim checkpoints."""

    published: list[PublishedDescription]


@router.post(
    "",
    operation_id="uploadWeights",
    summary="Upload weights",
    status_code=201,
    openapi_extra=FILES,
    responses={
        201: answer("The weights are new.", WeightsBody),
        200: answer("The same bytes were uploaded before.", WeightsBody),
        **problems(*BODY_PROBLEMS, "weights-refused", "store-full"),
    },
)
@needs("build")
async def upload_weights(
    request: Request,
    settings: SettingsDep,
    checkpoints: CheckpointsDep,
    imports: WeightImportsDep,
    name: Annotated[
        str, Query(description="The name of the file, if the body is the file itself.")
    ] = "upload",
    member: Annotated[
        str | None, Query(description="The checkpoint to take from an archive that holds several.")
    ] = None,
) -> Response:
    """The body is the file itself, or a form with one or more fields named file.

    Formats, recognized by content: TensorFlow checkpoints V2 (the index and data files, or a tar.gz
    of them) and V1, safetensors, npz, and Keras's .weights.h5. The id is the file's SHA-256.
    """
    upload = begin(request)
    clock = timings(request)
    check_size(upload.size_bytes or 0, settings.upload_limit, "bytes")
    try:
        with imports.room.receiving(upload):
            await on_files(imports.check_declared, upload)
            scratch = checkpoints.scratch()
            folder = await asyncio.to_thread(scratch.__enter__)
            try:
                content_type = request.headers.get("content-type", "")
                receiver = Receiver(folder, content_type, plain_name(name))
                try:
                    with clock.measure("receive"):
                        await receive(request, receiver, upload, imports.room, settings)
                finally:
                    receiver.close()
                with clock.measure("read"):
                    checkpoint, is_new = await imports.read(
                        upload, receiver.files, receiver.digests, member
                    )
            finally:
                await asyncio.to_thread(scratch.__exit__, None, None, None)
    except OSError as error:
        raise StoreError(f"The weights cannot be kept now: {error.strerror}.") from error
    return JsonAnswer(
        await asyncio.to_thread(weights_body, checkpoint),
        201 if is_new else 200,
        {"Location": link(f"/v1/weights/{checkpoint.id}")},
    )


@router.get(
    "",
    operation_id="listWeights",
    summary="List weights, the newest first",
    responses={200: answer("The weights, and the uploads in progress.", WeightsListBody)},
)
@needs("read")
async def list_weights(checkpoints: CheckpointsDep, imports: WeightImportsDep) -> Response:
    """`uploads` are in progress: they say how much has arrived, and whether it is being read.

    Replicas that share a bucket list each other's, which are a second old at most.
    """
    body: WeightsListBody = {
        "weights": await on_files(_items, checkpoints),
        "uploads": [
            {
                "id": upload.id,
                "size_bytes": upload.size_bytes,
                "received_bytes": upload.received_bytes,
                "state": upload.state,
            }
            for upload in await asyncio.to_thread(imports.room.uploads)
        ],
    }
    return JsonAnswer(body, headers={"Cache-Control": "no-store"})


def _items(checkpoints: CheckpointStore) -> list[WeightsItemBody]:
    with disk_errors():
        return [_item(document) for document in checkpoints.documents()]


@router.get(
    "/published",
    operation_id="listPublishedWeights",
    summary="List the published TF-Slim checkpoints",
    responses={200: answer("The catalogue.", PublishedWeightsBody)},
)
@needs("read")
async def read_published() -> Response:
    """Each one's URL and published accuracy, and the `spec` that builds its network.

    The service itself never fetches a URL. Run `model-zoo weights fetch NAME`, or download the file
    and upload it.
    """
    body: PublishedWeightsBody = {"published": describe_published()}
    return JsonAnswer(body)


@router.get(
    "/{weights_id}",
    operation_id="getWeights",
    summary="Describe weights",
    responses={200: answer("The weights.", WeightsBody), **problems("unknown-weights")},
)
@needs("read")
async def read_weights(weights_id: str, checkpoints: CheckpointsDep) -> Response:
    """Each tensor by the name that its file gives it, with its dtype and shape."""
    checkpoint = await _find(checkpoints, weights_id)
    return JsonAnswer(await asyncio.to_thread(weights_body, checkpoint))


@router.delete(
    "/{weights_id}",
    operation_id="deleteWeights",
    summary="Delete weights",
    status_code=204,
    responses={
        204: {"description": "The weights are deleted."},
        **problems("unknown-weights", "in-use"),
    },
)
@needs("admin")
async def delete_weights(
    weights_id: str, checkpoints: CheckpointsDep, builds: BuildsDep
) -> Response:
    """Refused while a build takes weights from them: delete the build first."""
    await _find(checkpoints, weights_id)
    await builds.remove_checkpoint(weights_id)
    return Response(status_code=204)


async def _find(checkpoints: CheckpointStore, weights_id: str) -> Checkpoint:
    try:
        with disk_errors():
            return await on_files(checkpoints.get, weights_id)
    except WeightsError as error:
        raise ServiceError(
            "unknown-weights", f"{error} GET /v1/weights lists all of them."
        ) from error


def weights_body(checkpoint: Checkpoint) -> WeightsBody:
    """Return weights as the routes show them, with every tensor."""
    return {
        **_item(checkpoint.to_dict()),
        "tensors": [
            {"name": name, "dtype": info.dtype, "shape": list(info.shape)}
            for name, info in checkpoint.tensors.items()
        ],
    }


def _item(document: CheckpointDocument) -> WeightsItemBody:
    return {**document, "links": {"self": link(f"/v1/weights/{document['id']}")}}
