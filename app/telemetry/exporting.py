"""Whether spans are exported.

OpenTelemetry is imported only where its standard variables name a collector.
"""

import os

from app.settings import SettingsError
from app.telemetry.spans import Spans

_ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")


def spans_of_environment() -> Spans | None:
    """Return what exports spans, if the environment names a collector.

    Raises: SettingsError if a variable of OpenTelemetry has a value that it refuses.
    """
    if (
        not any(os.environ.get(name) for name in _ENDPOINTS)
        or os.environ.get("OTEL_SDK_DISABLED", "").lower() == "true"
        or os.environ.get("OTEL_TRACES_EXPORTER", "otlp") == "none"
    ):
        return None
    from app.telemetry.otlp import OtlpSpans

    try:
        return OtlpSpans()
    except ValueError as error:
        raise SettingsError(f"OpenTelemetry refuses its settings (OTEL_*): {error}") from error
