"""The engine of a node as a deployment of Ray Serve, which other deployments call by handle.

    pip install 'model-zoo-service[ray]' 'ray[serve]'
    RAY_ADDRESS=auto python examples/ray_serve.py     # on a node of the cluster

For a cluster that runs Serve already and wants networks beside its own deployments. Each replica
has the engine of one machine, unchanged: its queue, its batches and its memory, with the limits of
`ZOO_*`. Specs and rows come in, arrays go out; Serve's HTTP proxy is not used. The routes of the
service, its checks of bodies and its access control are those of `python -m app` alone.
"""

from typing import Any

import numpy as np
from ray import serve

from app.compute.local_engine import LocalEngine
from app.engine import Rows
from app.serving.networks import Network, network_of
from app.settings import load_settings
from model_zoo import BuildSpec, ZooError, trace

NAME = "model-zoo"


@serve.deployment(
    num_replicas=2,
    # Ray sets OMP_NUM_THREADS to it, and the engine computes with as many threads.
    ray_actor_options={"num_cpus": 1},
    # What waits in the engine becomes a batch; what waits in Serve does not.
    max_ongoing_requests=64,
)
class ModelZoo:
    """Computes networks by their specs; a replica loads each when it is first asked for it.

    Weights of an uploaded checkpoint are read from ZOO_HOME, if that is there on its node.
    """

    async def __init__(self) -> None:  # Serve awaits it
        self._engine = LocalEngine(load_settings(), lambda *_batch: None, has_readers=False)
        self._networks: dict[str, Network] = {}
        await self._engine.start(wait_until_ready=True)

    async def predict(self, document: Any, rows: np.ndarray) -> np.ndarray:
        """Return the output for rows of float32, whose shape is (rows, *input_shape).

        Raises: ZooError if the spec is not valid or the rows do not fit it; EngineError.
        """
        spec = BuildSpec.read(document)
        network = self._networks.get(spec.digest)
        if network is None:
            network = network_of(spec.digest, trace(spec), spec.normalized(), {})
            self._networks[spec.digest] = network
        if rows.dtype != np.float32 or not len(rows) or rows.shape[1:] != network.input_shape:
            raise ZooError(
                f"{network.architecture} takes rows of float32 of shape "
                f"{list(network.input_shape)}, received {rows.dtype} of shape {list(rows.shape)}."
            )
        answer = await self._engine.infer(
            network.ref("auto", "float32"),
            Rows(rows.tobytes(), len(rows)),
            ("output",),
            counted_as=(NAME, "1"),
        )
        return answer.arrays["output"]


def main() -> None:
    """Deploy it, and call it once, as any process of the cluster can."""
    serve.start(proxy_location="Disabled")
    serve.run(ModelZoo.bind(), name=NAME, route_prefix=None)
    zoo = serve.get_app_handle(NAME)
    rows = np.random.RandomState(0).rand(1, 28, 28, 1).astype(np.float32)
    print(zoo.predict.remote({"architecture": "lenet"}, rows).result().tolist())


if __name__ == "__main__":
    main()
