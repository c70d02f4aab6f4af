"""Ties the engine's work to the client that waits for it."""

import asyncio

from starlette.requests import Request

from app.compute.engine import Engine, Job, Reply
from app.problems import ServiceError


async def run_while_connected(request: Request, engine: Engine, job: Job) -> Reply:
    """Return the engine's reply; a job whose client has gone is not waited for."""
    work = asyncio.create_task(engine.run(job))
    gone = asyncio.create_task(_disconnected(request))
    try:
        await asyncio.wait({work, gone}, return_when=asyncio.FIRST_COMPLETED)
        if not work.done():
            raise ServiceError("client-gone", "The client closed the connection.")
        return work.result()
    finally:
        gone.cancel()
        work.cancel()
        await asyncio.gather(gone, work, return_exceptions=True)


async def _disconnected(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
