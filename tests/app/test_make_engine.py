"""Whatever engine serves, the batches that it computes are counted."""

from pathlib import Path

from starlette.testclient import TestClient
from zoo_server import NoEngine

from app.engine import OnBatch
from app.main import create_app
from app.settings import Settings


def test_an_engine_counts_its_batches_where_metrics_and_statistics_read_them(
    tmp_path: Path,
) -> None:
    made: list[tuple[Settings, OnBatch]] = []

    def make_engine(settings: Settings, on_batch: OnBatch) -> NoEngine:
        made.append((settings, on_batch))
        return NoEngine()

    settings = Settings(home=tmp_path / "home")
    with TestClient(create_app(settings, make_engine)) as client:
        ((given, on_batch),) = made
        assert given is settings
        on_batch(("digits", "3"), 5, {"input": 0.1, "compute": 0.2, "output": 0.3})
        (model,) = client.get("/v2/models/stats").json()["model_stats"]
        assert (model["name"], model["version"], model["execution_count"]) == ("digits", "3", 1)
        assert [batch["batch_size"] for batch in model["batch_stats"]] == [5]
        assert 'zoo_batch_size_bucket{le="8.0"} 1.0' in client.get("/metrics").text
