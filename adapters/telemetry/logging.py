"""The log: structlog for ours, the standard library's loggers, warnings and crashes routed through it."""

import logging
import sys
import threading
from collections.abc import Sequence
from types import TracebackType
from typing import Any, TextIO

import structlog
from structlog.typing import EventDict, Processor

from adapters.telemetry.once_per_minute import OncePerMinute
from adapters.telemetry.redaction import Redactor

_POOL = "psycopg.pool"
"""It tells of every try to connect, while we have said already that the database is away."""
_CHATTY = ("nats", "urllib3", "psycopg", _POOL, "asyncio", "aiohttp", "opentelemetry", "faiss")
_OF_PUBLISHERS = ("opentelemetry.trace.span", "opentelemetry.trace.propagation")
"""They repeat what is wrong with a trace header: whoever publishes could fill the log with it."""
_FIRST_FIELDS = ("timestamp", "level", "logger", "event")
_FIRST_FOR_PEOPLE = ("photo_id", "outcome", "reason", "detail", "user_id", "distance", "threshold")
_LOG = structlog.get_logger("facematch")


def configure_logging(
    *, form: str | None, level: str, worker: str, secrets: Sequence[str] = (), stream: TextIO | None = None
) -> None:
    """Write every log line to ``stream`` (standard error), as JSON or for a terminal, with the name of the ``worker``.

    ``form`` None is ``console`` on a terminal and ``json`` elsewhere. Every occurrence of one of ``secrets`` is
    masked, in texts, in exceptions and in what libraries log, and so is what :class:`Redactor` takes for a secret.
    """
    target = stream or sys.stderr
    first: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="timestamp"),
        _naming(worker),
    ]
    structlog.configure(
        processors=[structlog.stdlib.filter_by_level, *first, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(target)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=first,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.StackInfoRenderer(),
                structlog.processors.format_exc_info,
                _redacting(Redactor(secrets)),
                *_rendering(form, target),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level.upper())
    for name in _CHATTY:
        logging.getLogger(name).setLevel(max(logging.WARNING, root.level))
    for name in _OF_PUBLISHERS:
        logging.getLogger(name).setLevel(max(logging.ERROR, root.level))
    OncePerMinute().put_before(_POOL)
    logging.captureWarnings(capture=True)
    sys.excepthook = _log_crash
    threading.excepthook = _log_crash_of_thread


def _rendering(form: str | None, target: TextIO) -> Sequence[Processor]:
    if form == "console" or (form is None and target.isatty()):
        console = structlog.dev.ConsoleRenderer(
            pad_event_to=0,
            colors=target.isatty(),
            exception_formatter=structlog.dev.plain_traceback,
            sort_keys=False,
        )
        return _for_people, console
    return (structlog.processors.JSONRenderer(),)


def _for_people(_logger: Any, _method: str, record: EventDict) -> EventDict:  # noqa: ANN401 - as structlog
    """Begin with what became of which photo and end with the stages, in few digits; leave out null and repetitions."""
    told = {**{key: record.get(key) for key in _FIRST_FOR_PEOPLE}, **record}
    if told.get("action") == told["outcome"]:
        told["action"] = None
    if stages := told.pop("stages_ms", None):
        told["stages_ms"] = ",".join(f"{name}:{milliseconds:.0f}" for name, milliseconds in stages.items())
    return {
        key: f"{value:.6g}" if isinstance(value, float) else value for key, value in told.items() if value is not None
    }


def _naming(worker: str) -> Processor:
    def name(_logger: Any, _method: str, record: EventDict) -> EventDict:  # noqa: ANN401 - as structlog
        return {**record, "worker": worker}

    return name


def _redacting(redactor: Redactor) -> Processor:
    def redact(_logger: Any, _method: str, record: EventDict) -> EventDict:  # noqa: ANN401 - as structlog
        ordered = {**dict.fromkeys(_FIRST_FIELDS), **record}
        return {key: redactor.value(value) for key, value in ordered.items()}

    return redact


def _log_crash(kind: type[BaseException], error: BaseException, traceback: TracebackType | None) -> None:
    if issubclass(kind, KeyboardInterrupt):
        sys.__excepthook__(kind, error, traceback)
        return
    _LOG.critical("crashed", action="crashed", exc_info=(kind, error, traceback))


def _log_crash_of_thread(arguments: threading.ExceptHookArgs) -> None:
    if arguments.exc_value is not None and not issubclass(arguments.exc_type, SystemExit):
        name = arguments.thread.name if arguments.thread else None
        exc_info = (arguments.exc_type, arguments.exc_value, arguments.exc_traceback)
        _LOG.error("thread crashed", action="thread_crashed", thread=name, exc_info=exc_info)
