"""`/v1/weights`: upload weight files, list, describe and remove them."""

import asyncio
import contextlib
from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from app.api.parts import BuildsDep, CheckpointsDep, SettingsDep, WeightImportsDep
from app.errors import ServiceError
from app.http import schemas
from app.http.bodies import check_size
from app.http.exchange import timings
from app.http.uploads import Receiver, begin, plain_name, receive
from app.store.errors import StoreError
from model_zoo import Checkpoint, CheckpointStore, WeightsError, describe_published

router = APIRouter(prefix="/v1/weights", tags=["weights"])


@router.post(
    "",
    summary="Upload weights",
    status_code=201,
    openapi_extra={"requestBody": schemas.UPLOAD_BODY},
    responses={
        201: schemas.answer("The weights are new.", "Weights"),
        200: schemas.answer("The same bytes were uploaded before.", "Weights"),
        **schemas.problems(*schemas.BODY_PROBLEMS, "weights-refused", "store-full"),
    },
)
async def upload_weights(
    request: Request,
    settings: SettingsDep,
    checkpoints: CheckpointsDep,
    imports: WeightImportsDep,
    name: Annotated[
        str, Query(description="What the file is called, where the body is the file itself.")
    ] = "upload",
    member: Annotated[
        str | None, Query(description="Which checkpoint to take, where an archive holds several.")
    ] = None,
) -> Response:
    """The body is the file itself, or a form with one or more fields called file.

    A TensorFlow checkpoint, V2 (its index and data files, or a tar.gz of them) or V1; safetensors;
    npz; Keras's .weights.h5. What it is, is read from the content. The id is the file's SHA-256.
    """
    upload = begin(request)
    clock = timings(request)
    check_size(upload.size_bytes or 0, settings.upload_limit, "bytes")
    try:
        with imports.receiving(upload):
            await asyncio.to_thread(imports.check_room)
            scratch = checkpoints.scratch()
            folder = await asyncio.to_thread(scratch.__enter__)
            try:
                content_type = request.headers.get("content-type", "")
                receiver = Receiver(folder, content_type, plain_name(name))
                try:
                    with clock.measure("receive"):
                        await receive(request, receiver, upload, settings)
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
    return JSONResponse(
        await asyncio.to_thread(weights_body, checkpoint),
        201 if is_new else 200,
        {"Location": f"/v1/weights/{checkpoint.id}"},
    )


@router.get(
    "",
    summary="List weights, the newest first",
    responses={200: schemas.answer("What is kept, and what is on its way.", "WeightsList")},
)
async def list_weights(checkpoints: CheckpointsDep, imports: WeightImportsDep) -> Response:
    """`uploads` are those in progress: how much of each has arrived, and whether it is read now."""
    return JSONResponse(
        {
            "weights": await asyncio.to_thread(_items, checkpoints),
            "uploads": [asdict(upload) for upload in imports.uploads],
        },
        headers={"Cache-Control": "no-store"},
    )


def _items(checkpoints: CheckpointStore) -> list[dict[str, Any]]:
    items = []
    for checkpoint in checkpoints.list():
        with contextlib.suppress(WeightsError):  # removed meanwhile
            items.append(_item(checkpoint))
    return items


@router.get(
    "/published",
    summary="List the published TF-Slim checkpoints",
    responses={200: schemas.answer("The catalogue.", "PublishedWeights")},
)
async def read_published() -> Response:
    """Where each is found, and how it fared; `spec` builds its network.

    The service never fetches a URL: `model-zoo weights fetch NAME` does, or a download and an
    upload by hand.
    """
    return JSONResponse({"published": describe_published()})


@router.get(
    "/{weights_id}",
    summary="Describe weights",
    responses={
        200: schemas.answer("The weights.", "Weights"),
        **schemas.problems("unknown-weights"),
    },
)
async def read_weights(weights_id: str, checkpoints: CheckpointsDep) -> Response:
    """Each tensor by the name that the file gave it, with its dtype and shape."""
    checkpoint = await _find(checkpoints, weights_id)
    return JSONResponse(await asyncio.to_thread(weights_body, checkpoint))


@router.delete(
    "/{weights_id}",
    summary="Remove weights",
    status_code=204,
    responses={
        204: {"description": "They are removed."},
        **schemas.problems("unknown-weights", "in-use"),
    },
)
async def delete_weights(
    weights_id: str, checkpoints: CheckpointsDep, builds: BuildsDep
) -> Response:
    """Refused while a build takes weights from them: remove the build first."""
    await _find(checkpoints, weights_id)
    await asyncio.to_thread(builds.remove_checkpoint, weights_id)
    return Response(status_code=204)


async def _find(checkpoints: CheckpointStore, weights_id: str) -> Checkpoint:
    try:
        return await asyncio.to_thread(checkpoints.get, weights_id)
    except WeightsError as error:
        raise ServiceError(
            "unknown-weights", f"{error} GET /v1/weights lists those that there are."
        ) from error


def weights_body(checkpoint: Checkpoint) -> dict[str, Any]:
    """Return weights as the routes show them, with every tensor."""
    return {
        **_item(checkpoint),
        "tensors": [
            {"name": name, "dtype": info.dtype, "shape": list(info.shape)}
            for name, info in checkpoint.tensors.items()
        ],
    }


def _item(checkpoint: Checkpoint) -> dict[str, Any]:
    return {**checkpoint.to_dict(), "links": {"self": f"/v1/weights/{checkpoint.id}"}}
