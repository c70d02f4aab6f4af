"""The lowering on another of Keras's backends: the records pass on JAX, without TensorFlow."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

OPEN = Path(__file__).parents[1] / "golden" / "open"
# Of different families; the second computes batch statistics and moves its averages.
RECORDS = (
    "lenet",
    "cifarnet__training_frozen_bn",
    "mobilenet_v1_025_128__b_demo_nested",
    "mobilenet_v3_small",
    "resnet_v1_50",
)

# Keras chooses its backend when it is imported, and these tests have imported it already.
REPLAY = """
import json, sys
from pathlib import Path
from model_zoo.verify import verify_record
differences = {path: verify_record(Path(path)).difference for path in sys.argv[1:]}
import keras
print(json.dumps([keras.backend.backend(), "tensorflow" in sys.modules, differences]))
"""


@pytest.mark.heavy
def test_golden_records_pass_on_jax_without_tensorflow() -> None:
    paths = [str(OPEN / f"{name}.json.gz") for name in RECORDS]
    process = subprocess.run(
        [sys.executable, "-c", REPLAY, *paths],
        env={**os.environ, "KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu"},
        capture_output=True,
        text=True,
    )
    assert process.returncode == 0, process.stderr
    assert json.loads(process.stdout) == ["jax", False, dict.fromkeys(paths)]
