"""`/v1/weights`: upload weight files, list, describe and remove them."""

import asyncio
import contextlib
from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from app.api import schemas
from app.api.body import check_size
from app.api.services import Services, Shared, remove_unused
from app.api.uploads import Receiver, Upload, begin, plain_name, receive
from app.envelope import timings
from app.problems import ServiceError
from app.settings import variable
from app.store.errors import StoreError
from model_zoo import (
    Checkpoint,
    ImportLimits,
    WeightsError,
    describe_published,
    import_checkpoint,
)

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
    services: Shared,
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
    settings = services.settings
    upload = begin(request)
    clock = timings(request)
    check_size(upload.size_bytes or 0, "max_upload_bytes", settings, "bytes")
    try:
        services.uploads[id(upload)] = upload
        await asyncio.to_thread(_check_room, services)
        scratch = services.checkpoints.scratch()
        folder = await asyncio.to_thread(scratch.__enter__)
        try:
            content_type = request.headers.get("content-type", "")
            receiver = Receiver(folder, content_type, plain_name(name))
            try:
                with clock.measure("receive"):
                    await receive(request, receiver, upload, settings)
            finally:
                receiver.close()
            upload.state = "reading"
            async with services.import_slots:
                with clock.measure("read"):
                    checkpoint, is_new = await asyncio.to_thread(
                        _import, services, receiver, member
                    )
        finally:
            await asyncio.to_thread(scratch.__exit__, None, None, None)
    except OSError as error:
        raise StoreError(f"The weights cannot be kept now: {error.strerror}.") from error
    finally:
        services.uploads.pop(id(upload), None)
    return JSONResponse(
        await asyncio.to_thread(weights_body, checkpoint),
        201 if is_new else 200,
        {"Location": f"/v1/weights/{checkpoint.id}"},
    )


def _check_room(services: Services) -> None:
    """Refuse an upload if it, and those that still come, would not fit beside what is kept."""
    settings = services.settings
    limit, kept = settings.max_checkpoints_bytes, services.checkpoints.stored_bytes()
    coming = sum(
        settings.max_upload_bytes if upload.size_bytes is None else upload.size_bytes
        for upload in list(services.uploads.values())
    )
    if kept + coming > limit:
        raise ServiceError(
            "store-full",
            f"{kept} bytes of weights are kept, and {coming} are to come; the limit is {limit} "
            f"({variable('max_checkpoints_bytes')}). DELETE /v1/weights/{{id}} makes room.",
        )


def _import(services: Services, receiver: Receiver, member: str | None) -> tuple[Checkpoint, bool]:
    return import_checkpoint(
        services.checkpoints,
        receiver.files,
        digests=receiver.digests,
        member=member,
        limits=_limits(services),
    )


def _limits(services: Services) -> ImportLimits:
    settings = services.settings
    # A compressed file may hold more than was received.
    room = settings.max_checkpoints_bytes - services.checkpoints.stored_bytes()
    return ImportLimits(
        max_bytes=max(0, min(settings.max_import_bytes, room)),
        max_tensors=settings.max_import_tensors,
        memory_bytes=settings.import_memory_bytes,
        seconds=settings.import_timeout_s,
    )


@router.get(
    "",
    summary="List weights, the newest first",
    responses={200: schemas.answer("What is kept, and what is on its way.", "WeightsList")},
)
async def list_weights(services: Shared) -> Response:
    """`uploads` are those in progress: how much of each has arrived, and whether it is read now."""
    kept = await asyncio.to_thread(_items, services)
    return JSONResponse(
        {
            "weights": kept,
            "uploads": [_progress(upload) for upload in services.uploads.values()],
        },
        headers={"Cache-Control": "no-store"},
    )


def _items(services: Services) -> list[dict[str, Any]]:
    items = []
    for checkpoint in services.checkpoints.list():
        with contextlib.suppress(WeightsError):  # removed meanwhile
            items.append(_item(checkpoint))
    return items


def _progress(upload: Upload) -> dict[str, Any]:
    return asdict(upload)


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
async def read_weights(weights_id: str, services: Shared) -> Response:
    """Each tensor by the name that the file gave it, with its dtype and shape."""
    checkpoint = await _find(services, weights_id)
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
async def delete_weights(weights_id: str, services: Shared) -> Response:
    """Refused while a build takes weights from them: remove the build first."""
    await _find(services, weights_id)
    await asyncio.to_thread(remove_unused, services, weights_id, services.checkpoints.remove)
    return Response(status_code=204)


async def _find(services: Services, weights_id: str) -> Checkpoint:
    try:
        return await asyncio.to_thread(services.checkpoints.get, weights_id)
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
