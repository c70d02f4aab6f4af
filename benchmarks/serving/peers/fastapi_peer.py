"""The least that serves: a FastAPI handler that calls Keras's `predict`, without batching."""

import asyncio

import numpy as np
import uvicorn
from fastapi import FastAPI, Request, Response

from benchmarks.serving.peers.network import Network, Prediction, best, port

app = FastAPI()
network = Network()


@app.post("/tensor")
async def predict_tensor(request: Request) -> Response:
    """Answer float32 numbers with float32 numbers."""
    rows = network.rows_of_tensor(await request.body())
    logits = await asyncio.to_thread(network.logits, rows)
    return Response(logits.tobytes(), media_type="application/octet-stream")


@app.post("/picture")
async def predict_picture(request: Request) -> list[Prediction]:
    """Answer a JPEG file with its most probable classes."""
    data = await request.body()
    return await asyncio.to_thread(classify, data)


def classify(data: bytes) -> list[Prediction]:
    """Return a picture's most probable classes."""
    return best(network.logits(network.row_of_picture(data)[np.newaxis])[0])


if __name__ == "__main__":
    uvicorn.run(app, port=port(), log_level="warning", access_log=False)
