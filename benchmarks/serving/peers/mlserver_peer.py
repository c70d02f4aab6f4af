"""MLServer: a runtime of its own kind, adaptive batches of up to eight.

MLServer 1.7 does not read the protocol's binary tensors over HTTP: a tensor and a picture both come
as BYTES in base64, which it reads faster than 150,528 numbers in JSON.
"""

import numpy as np
from mlserver import MLModel
from mlserver.codecs import Base64Codec, NumpyCodec
from mlserver.types import InferenceRequest, InferenceResponse

from benchmarks.serving.peers.network import Array, Network, best


class NetworkRuntime(MLModel):
    """The network behind MLServer's interface."""

    async def load(self) -> bool:
        """Make the network."""
        self._network = Network()
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        """Answer pictures with their most probable classes, tensors with numbers."""
        given = payload.inputs[0]
        data = Base64Codec.decode_input(given)
        if given.name == "tensor":
            logits = self._network.logits(self._network.rows_of_tensor(b"".join(data)))
            outputs = {"logits": logits}
        else:
            rows = np.stack([self._network.row_of_picture(each) for each in data])
            outputs = _best(self._network.logits(rows))
        return InferenceResponse(
            model_name=self.name,
            outputs=[NumpyCodec.encode_output(name, array) for name, array in outputs.items()],
        )


def _best(logits: Array) -> dict[str, Array]:
    classes = [best(row) for row in logits]
    return {
        "classes": np.array([[each["class"] for each in row] for row in classes]),
        "probabilities": np.array([[each["probability"] for each in row] for row in classes]),
    }
