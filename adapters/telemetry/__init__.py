"""OpenTelemetry and structlog: traces, metrics and the canonical log line."""
