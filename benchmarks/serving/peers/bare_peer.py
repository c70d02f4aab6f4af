"""The least server that Python allows: raw ASGI around one ONNX Runtime session, nothing checked.

What an engineer would write himself in an hour, in three ways: the network runs in the event loop,
in a thread, or in as many one-thread lanes as there are cores.
"""

import asyncio
import json
import os
from collections.abc import Awaitable, Callable, MutableMapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import uvicorn

from benchmarks.serving.peers.network import Network, best, port

CORES = len(os.sched_getaffinity(0))

Message = MutableMapping[str, Any]

mode = os.environ["PEER_MODE"]  # loop, thread or lanes
network = Network(threads=1 if mode == "lanes" else CORES)
pool = ThreadPoolExecutor(CORES if mode == "lanes" else 1)


def answer(path: str, body: bytes) -> bytes:
    """Return the body of an answer."""
    if path == "/tensor":
        return network.logits(network.rows_of_tensor(body)).tobytes()
    return json.dumps(best(network.logits(network.row_of_picture(body)[np.newaxis])[0])).encode()


async def app(
    scope: Message,
    receive: Callable[[], Awaitable[Message]],
    send: Callable[[Message], Awaitable[None]],
) -> None:
    """Answer a tensor with numbers, a picture with its most probable classes."""
    parts = []
    while True:
        message = await receive()
        parts.append(message["body"])
        if not message["more_body"]:
            break
    body = b"".join(parts)
    if mode == "loop":
        data = answer(scope["path"], body)
    else:
        data = await asyncio.get_running_loop().run_in_executor(pool, answer, scope["path"], body)
    headers = [(b"content-length", str(len(data)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": data})


if __name__ == "__main__":
    # With a body of 600 KB, uvloop takes twice the CPU time of asyncio, unless malloc is tuned.
    uvicorn.run(
        app, port=port(), loop="asyncio", log_level="warning", access_log=False, lifespan="off"
    )
