"""Decides whether spans are exported.

OpenTelemetry is imported only if its standard variables name a collector.
"""

import os

from app.settings import SettingsError
from app.telemetry.spans import SpanExporter

_ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")


def span_exporter_from_environment() -> SpanExporter | None:
    """Return the exporter of spans, or None if the environment names no collector.

    Raises: SettingsError if OpenTelemetry rejects the value of one of its variables.
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
        raise SettingsError(f"OpenTelemetry rejects its settings (OTEL_*): {error}") from error
