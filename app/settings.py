"""The settings of the service, read from `ZOO_*` environment variables.

The service does not start with an unknown variable or an invalid value: a misspelled limit would
otherwise silently not apply.
"""

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, Literal, TypeVar, get_args

from pydantic import Field, JsonValue, SecretStr, ValidationError, field_validator, model_validator
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, SettingsConfigDict

from app.reach import Origins, Proxies, RootPath
from model_zoo import Budget, unknown_name

PREFIX = "ZOO_"
KIB = 2**10
MIB = 2**20
GIB = 2**30
_DATABASE_SCHEME = "postgresql://"


# Routes that ZOO_OPEN_ROUTES can open to callers without a token.
Area = Literal["health", "pages", "metrics"]


# Of the head of a Ray cluster.
_RAY_ADDRESS = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+):[0-9]{1,5}")


class SettingsError(Exception):
    """The environment is invalid; the message names each variable and the reason."""


def _limit(
    default: float, description: str, *, minimum: float = 1, maximum: float | None = None
) -> Any:
    """Return a field that `GET /v1/limits` lists."""
    extra: dict[str, JsonValue] = {"is_limit": True}
    return Field(default, ge=minimum, le=maximum, description=description, json_schema_extra=extra)


Number = TypeVar("Number", bound=float)


@dataclass(frozen=True, slots=True)
class Limit(Generic[Number]):
    """The value of a limit, and the environment variable that sets it; no name if none does.

    >>> str(Limit(64, "ZOO_QUEUE_LENGTH"))
    '64 (ZOO_QUEUE_LENGTH)'
    """

    value: Number
    setting: str

    def __str__(self) -> str:
        return f"{self.value}{self._by_setting}"

    @property
    def _by_setting(self) -> str:
        return f" ({self.setting})" if self.setting else ""

    @property
    def in_seconds(self) -> str:
        """A limit on time as messages have it.

        >>> Limit(2.5, "ZOO_STORE_TIMEOUT_S").in_seconds
        '2.5 s (ZOO_STORE_TIMEOUT_S)'
        """
        return f"{self.value:g} s{self._by_setting}"

    def at_most(self, value: Number | None) -> "Limit[Number]":
        """Return the smaller of this limit and one that a request gives itself, if it does.

        >>> Limit(30, "ZOO_REQUEST_TIMEOUT_S").at_most(2.5).in_seconds
        '2.5 s'
        """
        return self if value is None or value >= self.value else Limit(value, "")


class Settings(BaseSettings):
    """What an operator can set; a variable is `ZOO_` and the name of the field in capitals."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, extra="forbid", frozen=True)

    host: str = Field("127.0.0.1", description="Address to listen on; 0.0.0.0 in a container.")
    port: int = Field(8000, ge=0, le=65535, description="Port to listen on; 0 picks a free one.")
    root_path: RootPath = Field(
        "",
        description="Prefix of the paths behind a proxy, such as /zoo, which the proxy may strip.",
    )
    trusted_proxies: Proxies = Field(
        (),
        description="Addresses and networks, with commas, whose X-Forwarded-For and "
        "X-Forwarded-Proto count.",
    )
    cors_origins: Origins = Field(
        (),
        description="Origins, with commas, whose pages may use the service; * means any.",
    )
    home: Path = Field(Path("zoo-home"), description="Folder of the database and the weight files.")
    # Left out of dumps, and so of what is sent to other processes: it may have a password.
    database_url: SecretStr | None = Field(
        None,
        description="Database of all replicas, postgresql://...; without it, SQLite in ZOO_HOME.",
        exclude=True,
    )
    ray_address: str = Field(
        "",
        description="Ray cluster whose nodes run networks: auto for that of this machine, or "
        "host:port of its head; empty runs them here.",
    )
    files_url: str | None = Field(
        None,
        description="Bucket of the weight files, checkpoints and calibrations, which replicas "
        "share: s3://, gs:// or az:// and a prefix; without one, they are in ZOO_HOME.",
    )
    device: Literal["auto", "cpu", "gpu"] = Field(
        "auto",
        description="Device that networks run on; gpu does not start without a GPU.",
    )
    engine: Literal["auto", "tensorflow", "onnxruntime"] = Field(
        "auto",
        description="What runs networks; on a CPU, auto prefers ONNX Runtime.",
    )
    precision: Literal["float32", "bfloat16"] = Field(
        "float32", description="Precision of networks; bfloat16 only where the device supports it."
    )
    xla: bool = Field(False, description="Compile networks with XLA, once for each batch size.")
    readers: int = Field(
        0, ge=0, description="Processes that decode images and JSON; 0 means one per two cores."
    )
    tracers: int = Field(
        0, ge=0, description="Processes that trace the rows of sweeps; 0 means one per core."
    )
    batch_rows: int = Field(
        8, ge=1, description="Rows computed at once, from one request or from several."
    )
    batch_delay_s: float = Field(
        0, ge=0, description="Seconds that a request waits for others to join its batch."
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="Least severe level that is logged."
    )
    log_format: Literal["text", "json"] = Field(
        "text", description="Format of the log: text for people, or one JSON object per line."
    )

    # Who may send requests.
    tokens_file: Path | None = Field(
        None, description="File of tokens; without it, `tokens.json` in ZOO_HOME, if it is there."
    )
    oidc_issuer: str | None = Field(
        None, description="OpenID Connect provider whose tokens are accepted, as they name it."
    )
    oidc_audience: str | None = Field(
        None, description="What its tokens must name as their audience."
    )
    oidc_role_claim: str = Field(
        "roles", description="Claim of its tokens that names roles: read, infer, build, admin."
    )
    anonymous: Literal["deny", "allow"] = Field(
        "deny",
        description="Whether a service without tokens may listen on other than loopback.",
    )
    open_routes: str = Field(
        "health,pages",
        description="What needs no token, of health, pages and metrics; commas between.",
    )

    # What a client may send.
    max_body_bytes: int = _limit(32 * MIB, "Bytes in a request body.")
    max_bodies_bytes: int = _limit(
        256 * MIB, "Bytes of request bodies held in memory, those that are arriving included."
    )
    max_document_bytes: int = _limit(
        MIB, "Bytes in a JSON document that is not a prediction: a build spec, sources, a name."
    )
    # What reads the values calls itself for each level, to a depth that is not set here.
    max_json_depth: int = _limit(64, "Nesting depth of a JSON document, at most 200.", maximum=200)
    max_json_nodes: int = _limit(50_000, "Values in the JSON of a build spec.")
    # An image of 299 x 299 x 3 has 268,203 numbers, so a batch of 14 fits.
    max_instance_nodes: int = _limit(4_000_000, "Values in the JSON of a prediction.")
    max_image_pixels: int = _limit(50_000_000, "Pixels of an image, as its header declares.")
    max_batch: int = _limit(32, "Rows in one prediction.")
    max_calibration_rows: int = _limit(128, "Rows that calibrate a version in int8.", minimum=16)

    # Limits of an upload of weights. A process of its own reads it, within the last three.
    max_upload_bytes: int = _limit(2 * GIB, "Bytes in an upload of weights.")
    # A published checkpoint of 100 MB takes 100 minutes at this rate.
    min_upload_bytes_s: int = _limit(
        16 * KIB,
        "Least bytes a second of an upload, which a client may fall behind by ZOO_BODY_TIMEOUT_S; "
        "0 means no limit.",
        minimum=0,
    )
    max_import_bytes: int = _limit(
        4 * GIB, "Bytes of the tensors in an upload, and of its unpacked archive."
    )
    max_import_tensors: int = _limit(20_000, "Tensors in an upload.")
    import_memory_bytes: int = _limit(
        2 * GIB, "Bytes of memory to read an upload.", minimum=256 * MIB
    )
    import_timeout_s: int = _limit(600, "Seconds of CPU time to read an upload.")

    # Limits of a build. Each value is known exactly from the trace, before anything is allocated.
    max_parameters: int = _limit(250_000_000, "Parameters of a build.")
    # Above i3d's 111 billion, the most in the catalogue.
    max_multiply_adds: int = _limit(150_000_000_000, "Multiply-adds of a build, for one example.")
    max_activation_bytes: int = _limit(
        2 * GIB, "Peak bytes of a build's activations, for one example."
    )
    max_layers: int = _limit(5_000, "Layers of a build.")
    # No spec of more levels can be read, so no build of one could either.
    max_scopes: int = _limit(
        64, "Levels in a spec's `scopes`, and in a saved scope, at most 1000.", maximum=1000
    )

    # Limits of what the service holds, and of how long work may take.
    max_output_bytes: int = _limit(32 * MIB, "Bytes of the arrays in one answer, as float32.")
    max_models_bytes: int = _limit(2 * GIB, "Bytes of the networks kept in memory.")
    max_files_bytes: int = _limit(
        4 * GIB,
        "Bytes of the weight files that are kept; with ZOO_FILES_URL, also of all copies of its "
        "files under ZOO_HOME.",
    )
    max_checkpoints_bytes: int = _limit(32 * GIB, "Bytes of the uploaded weights that are kept.")
    max_calibrations_bytes: int = _limit(
        4 * GIB, "Bytes of the rows that are kept to calibrate versions in int8."
    )
    max_sweep_rows: int = _limit(10_000, "Rows of a sweep.")
    max_sweeps_bytes: int = _limit(
        256 * MIB, "Bytes of the sweeps kept under ZOO_HOME; the oldest make room."
    )
    max_running_sweeps: int = _limit(16, "Sweeps that are traced at once.")
    max_named_models: int = _limit(1000, "Versions of named models.")
    max_saved_scopes: int = _limit(1000, "Versions of saved scopes.")
    max_concurrency: int = _limit(
        256, "Reads in progress at once; other requests have the same limit."
    )
    max_client_concurrency: int = _limit(
        0, "Requests in progress at once from one client address; 0 means no limit.", minimum=0
    )
    oidc_requests_per_s: float = _limit(
        0, "Requests a second of one subject of the provider; 0 means no limit.", minimum=0
    )
    oidc_concurrency: int = _limit(
        0, "Requests in progress at once of one subject; 0 means no limit.", minimum=0
    )
    queue_length: int = _limit(64, "Requests waiting for the worker.")
    max_queue_bytes: int = _limit(
        512 * MIB, "Bytes of the rows that wait or are being computed.", minimum=MIB
    )
    load_timeout_s: float = _limit(
        300, "Seconds to load a network into memory and run it at each batch size.", minimum=1
    )
    request_timeout_s: float = _limit(120, "Seconds a request may wait and compute.", minimum=0.001)
    store_timeout_s: float = _limit(
        5,
        "Seconds that a write, or a read, waits for the database's lock, or for its server.",
        minimum=0.001,
    )
    files_timeout_s: float = _limit(
        10,
        "Seconds that the bucket of ZOO_FILES_URL may take for a request; files move in pieces.",
        minimum=0.1,
    )
    body_timeout_s: float = _limit(
        30,
        "Seconds a client may take to send a body, or the next piece of an upload.",
        minimum=0.001,
    )
    write_timeout_s: float = _limit(
        30, "Seconds a client may take to receive any more of its answer.", minimum=0.001
    )
    trace_wait_s: float = _limit(
        10, "Seconds a request may wait while the networks of others are traced.", minimum=0.001
    )
    # Docker kills a container 10 s after SIGTERM, and the worker needs part of that to exit.
    drain_s: int = _limit(
        8, "Seconds that requests in progress have to finish after SIGTERM.", minimum=0
    )

    @field_validator("database_url", mode="before")
    @classmethod
    def _empty_is_unset(cls, url: object) -> object:
        """A compose file sets what its environment lacks to nothing."""
        return url or None

    @model_validator(mode="after")
    def _check_database(self) -> "Settings":
        """The message does not repeat the URL, which may have a password."""
        url = self.database_url
        if url is not None and not url.get_secret_value().startswith(_DATABASE_SCHEME):
            raise ValueError(
                f"{variable('database_url')}: input should begin with {_DATABASE_SCHEME}; without "
                "it, the database is SQLite in ZOO_HOME."
            )
        return self

    @field_validator("ray_address")
    @classmethod
    def _check_ray_address(cls, address: str) -> str:
        if not address or address == "auto" or _RAY_ADDRESS.fullmatch(address):
            return address
        if address.startswith("ray://"):
            raise ValueError(
                "Input should be auto or host:port, as the service runs on a node of the cluster, "
                "and not as a client of Ray"
            )
        raise ValueError("Input should be auto, host:port, or empty")

    @model_validator(mode="after")
    def _check_bodies(self) -> "Settings":
        """A form is in memory twice while its parts are taken out, and one must always fit."""
        largest = max(self.max_body_bytes, self.max_document_bytes)
        if self.max_bodies_bytes < 2 * largest:
            raise ValueError(
                f"{variable('max_bodies_bytes')}: input should be at least {2 * largest}, twice "
                "the largest body (ZOO_MAX_BODY_BYTES, ZOO_MAX_DOCUMENT_BYTES), received "
                f"{self.max_bodies_bytes}."
            )
        return self

    @model_validator(mode="after")
    def _check_access(self) -> "Settings":
        """A misspelled name would leave a route closed; of any audience, tokens are for others."""
        for name in self.open_areas - set(get_args(Area)):
            rule = f"{variable('open_routes')} does not accept {name!r}."
            raise ValueError(unknown_name("", rule, name, get_args(Area)).message)
        if self.oidc_issuer and not self.oidc_audience:
            raise ValueError(f"{variable('oidc_issuer')} needs {variable('oidc_audience')}.")
        return self

    @property
    def open_areas(self) -> frozenset[str]:
        """What needs no token."""
        return frozenset(filter(None, map(str.strip, self.open_routes.split(","))))

    @property
    def budget(self) -> Budget:
        """The limits of a build."""
        return Budget(
            max_parameters=self.max_parameters,
            max_multiply_adds=self.max_multiply_adds,
            max_activation_bytes=self.max_activation_bytes,
            max_layers=self.max_layers,
            max_scopes=self.max_scopes,
            setting_prefix=PREFIX,
        )

    @property
    def body_limit(self) -> Limit[int]:
        """The limit on the bytes of a request body."""
        return Limit(self.max_body_bytes, variable("max_body_bytes"))

    @property
    def bodies_limit(self) -> Limit[int]:
        """The limit on the bytes of all request bodies in memory."""
        return Limit(self.max_bodies_bytes, variable("max_bodies_bytes"))

    @property
    def document_limit(self) -> Limit[int]:
        """The limit on the bytes of a JSON document that is not a prediction."""
        return Limit(self.max_document_bytes, variable("max_document_bytes"))

    @property
    def upload_limit(self) -> Limit[int]:
        """The limit on the bytes of an upload of weights."""
        return Limit(self.max_upload_bytes, variable("max_upload_bytes"))

    @property
    def sweeps_limit(self) -> Limit[int]:
        """The limit on the bytes of the sweeps that are kept."""
        return Limit(self.max_sweeps_bytes, variable("max_sweeps_bytes"))

    @property
    def store_wait(self) -> Limit[float]:
        """The limit on the seconds that a transaction waits for the database's lock."""
        return Limit(self.store_timeout_s, variable("store_timeout_s"))

    @property
    def files_home(self) -> Path:
        """Where workers read files. Copies of a bucket's may be removed, and the originals not."""
        return self.home / "copies" if self.files_url else self.home

    @property
    def files_wait(self) -> Limit[float]:
        """The limit on the seconds that a bucket may take for a request."""
        return Limit(self.files_timeout_s, variable("files_timeout_s"))

    @property
    def request_time(self) -> Limit[float]:
        """The limit on the seconds that a request may wait and compute."""
        return Limit(self.request_timeout_s, variable("request_timeout_s"))

    @property
    def body_time(self) -> Limit[float]:
        """The limit on the seconds that a client may take to send a body."""
        return Limit(self.body_timeout_s, variable("body_timeout_s"))

    @property
    def trace_wait(self) -> Limit[float]:
        """The limit on the seconds that a request may wait for the traces of others."""
        return Limit(self.trace_wait_s, variable("trace_wait_s"))

    @property
    def load_time(self) -> Limit[float]:
        """The limit on the seconds that a network may take to load."""
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
    """Return the settings in the environment of this process.

    Raises: SettingsError for an unknown `ZOO_*` variable, or an invalid value.
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
    if "FORWARDED_ALLOW_IPS" in os.environ and variable("trusted_proxies") not in os.environ:
        raise SettingsError(
            f"FORWARDED_ALLOW_IPS is not read: name the proxies in {variable('trusted_proxies')}."
        )
    try:
        return Settings()
    except ValidationError as error:
        raise SettingsError("\n".join(map(_sentence, error.errors()))) from error


def _sentence(error: Any) -> str:
    own = error.get("ctx", {}).get("error")  # of a rule of ours
    if not error["loc"]:  # of several settings, which it names
        return str(own)
    message = str(own or error["msg"])
    rule = message[0].lower() + message[1:]
    return f"{variable(str(error['loc'][0]))}: {rule}, received {error['input']!r}."
