"""The log: structlog for ours, the standard library's loggers routed through it."""

import logging
import re
import sys
from collections.abc import Callable, MutableMapping, Sequence
from typing import Any, TextIO

import structlog
from structlog.typing import EventDict, Processor

_MASK = "***"
_URL_PASSWORD = re.compile(r"(\b[a-z][a-z0-9+.-]*://[^\s:/@]*:)[^\s/@]+@")
_CHATTY = ("nats", "urllib3", "psycopg", "psycopg.pool", "asyncio", "aiohttp", "opentelemetry", "pebble")


def configure_logging(
    *, form: str | None, level: str, secrets: Sequence[str] = (), stream: TextIO | None = None
) -> None:
    """Write every log line to ``stream`` (standard error), as JSON or for a terminal.

    ``form`` None is ``console`` on a terminal and ``json`` elsewhere. Every occurrence of one of ``secrets``
    is masked, and so are passwords in URLs.
    """
    target = stream or sys.stderr
    console = form == "console" or (form is None and target.isatty())
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="timestamp"),
        structlog.processors.StackInfoRenderer(),
    ]
    if not console:
        shared.append(structlog.processors.format_exc_info)
    shared.append(redactor(secrets))
    renderer: Processor = (
        structlog.dev.ConsoleRenderer(colors=target.isatty()) if console else structlog.processors.JSONRenderer()
    )
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(target)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level.upper())
    for name in _CHATTY:
        logging.getLogger(name).setLevel(max(logging.WARNING, root.level))


def redactor(secrets: Sequence[str]) -> Callable[[Any, str, MutableMapping[str, Any]], EventDict]:
    """Return a processor that masks secrets anywhere in a record's texts."""
    masked = [secret for secret in secrets if secret]

    def clean(value: Any) -> Any:  # noqa: ANN401 - log records hold anything
        if isinstance(value, str):
            for secret in masked:
                value = value.replace(secret, _MASK)
            return _URL_PASSWORD.sub(rf"\1{_MASK}@", value)
        if isinstance(value, dict):
            return {key: clean(item) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [clean(item) for item in value]
        return value

    def redact(_logger: Any, _method: str, record: MutableMapping[str, Any]) -> EventDict:  # noqa: ANN401 - as structlog
        return {key: value if key.startswith("_") else clean(value) for key, value in record.items()}

    return redact
