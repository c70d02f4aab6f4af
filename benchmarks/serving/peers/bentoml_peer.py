"""BentoML: one worker, adaptive batches of up to eight, in the process that answers."""

from typing import Annotated

import bentoml
import numpy as np
from bentoml.validators import ContentType
from pydantic import AfterValidator

from benchmarks.serving.peers.network import MAX_BATCH, Array, Network, Prediction, best

# What is still waiting by then is refused: long enough that nothing is, at 32 at once.
_LATENCY_MS = 20_000


def _rows(data: bytes) -> Array:
    return NetworkCache.network.rows_of_tensor(data)


def _list(data: bytes) -> list[bytes]:
    return [data]


class NetworkCache:
    """Where the validators find the network."""

    network: Network


Tensor = Annotated[bytes, AfterValidator(_rows), ContentType("application/octet-stream")]
Picture = Annotated[bytes, AfterValidator(_list), ContentType("image/jpeg")]


@bentoml.service(workers=1, traffic={"timeout": 120})
class Service:
    """The network behind BentoML's routes."""

    def __init__(self) -> None:
        self.network = NetworkCache.network = Network()

    @bentoml.api(batchable=True, max_batch_size=MAX_BATCH, max_latency_ms=_LATENCY_MS)
    def tensor(self, rows: Tensor, /) -> np.ndarray:
        """Answer numbers with numbers."""
        return self.network.logits(rows)

    @bentoml.api(batchable=True, max_batch_size=MAX_BATCH, max_latency_ms=_LATENCY_MS)
    def picture(self, pictures: Picture, /) -> list[list[Prediction]]:
        """Answer JPEG files with their most probable classes."""
        rows = np.stack([self.network.row_of_picture(data) for data in pictures])
        return [best(logits) for logits in self.network.logits(rows)]
