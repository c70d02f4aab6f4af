"""LitServe: one worker process, batches of up to eight, its faster queue.

A request is the bytes of either form; LitServe has one route for an API, and one loop for a route.
"""

import json
from collections.abc import Sequence
from typing import Annotated

import litserve
import numpy as np
from fastapi import Body, Response

from benchmarks.serving.peers.network import BATCH_SECONDS, MAX_BATCH, Array, Network, best, port

_JPEG = b"\xff\xd8\xff"

Row = tuple[bool, Array]  # whether it was a picture; the input, and later the logits


class Api(litserve.LitAPI):
    """The network behind LitServe's hooks."""

    def setup(self, device: str) -> None:
        """Make the network, in the worker."""
        self.network = Network()

    def decode_request(
        self, request: Annotated[bytes, Body(media_type="application/octet-stream")]
    ) -> Row:
        """Return the row of a request."""
        if request.startswith(_JPEG):
            return True, self.network.row_of_picture(request)
        return False, self.network.rows_of_tensor(request)[0]

    def batch(self, inputs: Sequence[Row]) -> tuple[list[bool], Array]:
        """Return rows as one array."""
        return [is_picture for is_picture, _ in inputs], np.stack([row for _, row in inputs])

    def predict(self, x: tuple[list[bool], Array]) -> tuple[list[bool], Array]:
        """Run the network."""
        return x[0], self.network.logits(x[1])

    def unbatch(self, output: tuple[list[bool], Array]) -> list[Row]:
        """Return the rows of an array."""
        return list(zip(*output, strict=True))

    def encode_response(self, output: Row) -> Response:
        """Return the answer to a request."""
        is_picture, logits = output
        if is_picture:
            return Response(json.dumps(best(logits)), media_type="application/json")
        return Response(logits.tobytes(), media_type="application/octet-stream")


if __name__ == "__main__":
    api = Api(max_batch_size=MAX_BATCH, batch_timeout=BATCH_SECONDS)
    server = litserve.LitServer(api, accelerator="cpu", timeout=False, fast_queue=True)
    server.run(host="127.0.0.1", port=port(), generate_client_file=False, log_level="warning")
