"""Every setting of the service, read from `ZOO_*` environment variables.

A variable that is not a setting, or a value that does not fit, refuses to start: a limit that was
mistyped would otherwise silently not hold.
"""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, Literal, TypeVar

from pydantic import Field, ValidationError
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, SettingsConfigDict

from model_zoo import unknown_name

PREFIX = "ZOO_"
MIB = 2**20
GIB = 2**30


class SettingsError(Exception):
    """The environment does not describe a service that can start; says which variable and why."""


def _limit(default: float, description: str, *, minimum: float = 1) -> Any:
    """Return a field that `GET /v1/limits` lists."""
    return Field(default, ge=minimum, description=description, json_schema_extra={"is_limit": True})


Number = TypeVar("Number", bound=float)


@dataclass(frozen=True, slots=True)
class Limit(Generic[Number]):
    """The value of a limit, and the environment variable that sets it.

    >>> str(Limit(64, "ZOO_QUEUE_LENGTH"))
    '64 (ZOO_QUEUE_LENGTH)'
    """

    value: Number
    setting: str

    def __str__(self) -> str:
        return f"{self.value} ({self.setting})"


class Settings(BaseSettings):
    """What an operator can set; `ZOO_` and the field's name in capitals is the variable."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, extra="forbid", frozen=True)

    host: str = Field("127.0.0.1", description="Address to listen on; 0.0.0.0 in a container.")
    port: int = Field(8000, ge=0, le=65535, description="Port to listen on; 0 picks a free one.")
    home: Path = Field(
        Path("zoo-home"), description="Folder of the builds' database and of the weight files."
    )
    device: Literal["auto", "cpu", "gpu"] = Field(
        "auto", description="Where networks run; gpu refuses to start where there is none."
    )
    engine: Literal["auto", "tensorflow", "onnxruntime"] = Field(
        "auto", description="What computes; auto measures both on a CPU, and keeps the faster."
    )
    precision: Literal["float32", "bfloat16"] = Field(
        "float32", description="What networks compute in; bfloat16 where the device has it."
    )
    xla: bool = Field(False, description="Compile networks with XLA, one batch size at a time.")
    readers: int = Field(
        0, ge=0, description="Processes that decode images and JSON; 0 is one for two cores."
    )
    batch_rows: int = Field(
        8, ge=1, description="Rows that are computed at once, from one request or from several."
    )
    batch_delay_s: float = Field(
        0, ge=0, description="Seconds that a request waits for others to be computed with."
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="The least severe message that is logged."
    )
    log_format: Literal["text", "json"] = Field(
        "text", description="The log as lines for people, or as one JSON object a line."
    )

    # What a client may send.
    max_body_bytes: int = _limit(32 * MIB, "Bytes in a request body.")
    max_document_bytes: int = _limit(
        MIB, "Bytes of a JSON document that is no prediction: a build spec, sources, a name."
    )
    max_json_depth: int = _limit(64, "Nesting of a JSON document.")
    max_json_nodes: int = _limit(50_000, "Values in the JSON of a build spec.")
    # An image of 299 x 299 x 3 is 268,203 numbers: this lets a small batch of them pass.
    max_instance_nodes: int = _limit(4_000_000, "Values in the JSON of a prediction.")
    max_image_pixels: int = _limit(50_000_000, "Pixels of an image, by its header.")
    max_batch: int = _limit(32, "Rows in one prediction.")

    # What an upload of weights may be. It is read in a process of its own, within the last three.
    max_upload_bytes: int = _limit(2 * GIB, "Bytes in an upload of weights.")
    max_import_bytes: int = _limit(
        4 * GIB, "Bytes of the tensors in an upload, and of its archive unpacked."
    )
    max_import_tensors: int = _limit(20_000, "Tensors in an upload.")
    import_memory_bytes: int = _limit(
        2 * GIB, "Bytes of memory to read an upload in.", minimum=256 * MIB
    )
    import_timeout_s: int = _limit(600, "Seconds of computing to read an upload in.")

    # What a build may be. Each is known exactly from the trace, before anything is allocated.
    max_parameters: int = _limit(250_000_000, "Parameters of a build.")
    max_multiply_adds: int = _limit(100_000_000_000, "Multiply-adds of a build, for one example.")
    max_activation_bytes: int = _limit(
        2 * GIB, "Peak bytes of a build's activations, for one example."
    )
    max_layers: int = _limit(5_000, "Layers of a build.")
    max_scopes: int = _limit(64, "Levels in a spec's `scopes`.")

    # What the service holds and how long it takes.
    max_output_bytes: int = _limit(32 * MIB, "Bytes of the arrays in one answer, as float32.")
    max_models_bytes: int = _limit(2 * GIB, "Bytes of the networks kept in memory.")
    max_files_bytes: int = _limit(4 * GIB, "Bytes of the weight files kept under ZOO_HOME.")
    max_checkpoints_bytes: int = _limit(
        32 * GIB, "Bytes of the uploaded weights kept under ZOO_HOME."
    )
    max_named_models: int = _limit(1000, "Versions of named models.")
    max_concurrency: int = _limit(
        256, "Reads in progress at once, and requests of all other kinds."
    )
    max_client_concurrency: int = _limit(
        0, "Requests of one client address in progress at once; 0 is no limit.", minimum=0
    )
    queue_length: int = _limit(64, "Requests that wait for the worker.")
    max_queue_bytes: int = _limit(
        512 * MIB, "Bytes of the rows that wait or are computed.", minimum=MIB
    )
    load_timeout_s: float = _limit(
        300, "Seconds to bring a network into memory and run it at each batch size.", minimum=1
    )
    request_timeout_s: float = _limit(120, "Seconds a request may wait and compute.", minimum=0.001)
    body_timeout_s: float = _limit(
        30,
        "Seconds a client may take to send a body, or the next piece of an upload.",
        minimum=0.001,
    )
    # Docker kills 10 s after SIGTERM: the worker needs a moment of that to end.
    drain_s: int = _limit(
        8, "Seconds that requests in flight may take to finish after SIGTERM.", minimum=0
    )

    @property
    def body_limit(self) -> Limit[int]:
        """The bytes of a request's body."""
        return Limit(self.max_body_bytes, variable("max_body_bytes"))

    @property
    def document_limit(self) -> Limit[int]:
        """The bytes of a JSON document that is no prediction."""
        return Limit(self.max_document_bytes, variable("max_document_bytes"))

    @property
    def upload_limit(self) -> Limit[int]:
        """The bytes of an upload of weights."""
        return Limit(self.max_upload_bytes, variable("max_upload_bytes"))

    @property
    def request_time(self) -> Limit[float]:
        """The seconds that a request may wait and compute."""
        return Limit(self.request_timeout_s, variable("request_timeout_s"))

    @property
    def load_time(self) -> Limit[float]:
        """The seconds that a network may take to come into memory."""
        return Limit(self.load_timeout_s, variable("load_timeout_s"))


def variable(name: str) -> str:
    """Return the environment variable of a setting.

    >>> variable("max_body_bytes")
    'ZOO_MAX_BODY_BYTES'
    """
    return PREFIX + name.upper()


def limit_fields() -> dict[str, FieldInfo]:
    """Return the settings that limit what a client can ask for."""
    return {
        name: field
        for name, field in Settings.model_fields.items()
        if isinstance(field.json_schema_extra, dict) and field.json_schema_extra.get("is_limit")
    }


def load_settings() -> Settings:
    """Return the settings of this process's environment.

    Raises: SettingsError for a `ZOO_*` variable that is no setting, or a value that does not fit.
    """
    known = {variable(name) for name in Settings.model_fields}
    unknown = sorted(
        key for key in os.environ if key.upper().startswith(PREFIX) and key.upper() not in known
    )
    if unknown:
        lines = [
            unknown_name("", f"{key} is not a setting.", key, known).message for key in unknown
        ]
        raise SettingsError("\n".join(lines))
    try:
        return Settings()
    except ValidationError as error:
        raise SettingsError("\n".join(map(_sentence, error.errors()))) from error


def _sentence(error: Any) -> str:
    message = str(error["msg"])
    rule = message[0].lower() + message[1:]
    return f"{variable(str(error['loc'][0]))}: {rule}, received {error['input']!r}."
