"""The log: form, level, redaction, and everything that is routed through it."""

import asyncio
import gc
import json
import logging
import sys
import threading
import warnings
from collections.abc import Callable

import pytest
import structlog
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from adapters.telemetry.job import of_the_worker
from tests.unit.adapters.telemetry.conftest import Log

Configure = Callable[..., Log]
SECRET = "hunter2-s3cret"
LOG = structlog.get_logger("facematch")


def test_json_lines(logged: Configure) -> None:
    """One object on each line, with time, level, logger, event, worker and fields."""
    log = logged()
    LOG.info("one", action="a", number=1.5)
    LOG.warning("two\nlines", ünï="cödé")
    first, second = log.lines
    assert first.pop("timestamp").endswith("Z")
    always = {"event": "one", "level": "info", "logger": "facematch", "worker": "worker-1"}
    assert first == {**always, "action": "a", "number": 1.5}
    assert (second["event"], second["ünï"]) == ("two\nlines", "cödé")


def test_console_lines(logged: Configure) -> None:
    """For people: event and fields, not JSON; without colours where there is no terminal."""
    log = logged(form="console")
    LOG.info("started", action="started")
    assert "started" in log.text
    assert "worker=worker-1" in log.text
    assert "\x1b" not in log.text
    assert not log.text.startswith("{")


def test_no_terminal_means_json(logged: Configure) -> None:
    """The default form depends on where the log goes."""
    log = logged(form=None)
    LOG.info("started")
    assert log.lines[0]["event"] == "started"


@pytest.mark.parametrize(
    ("level", "expected"),
    [
        ("debug", ["debug", "info", "warning", "error"]),
        ("info", ["info", "warning", "error"]),
        ("warning", ["warning", "error"]),
        ("error", ["error"]),
    ],
)
def test_the_level_is_the_least_that_is_shown(logged: Configure, level: str, expected: list[str]) -> None:
    """For our own lines as for the standard library's."""
    log = logged(level=level)
    for name in ("debug", "info", "warning", "error"):
        getattr(LOG, name)("ours")
        getattr(logging.getLogger("some.library"), name)("theirs")
    assert [line["level"] for line in log.lines] == [name for name in expected for _ in range(2)]


@pytest.mark.parametrize("form", ["json", "console"])
def test_secrets_are_masked_everywhere(logged: Configure, form: str) -> None:
    """In our fields and events, in exceptions and their causes, and in what libraries log, in each form."""
    log = logged(form=form, secrets=(SECRET,))
    event = f"event {SECRET}"
    LOG.info(event, field=SECRET, deep={"list": [SECRET]}, url="nats://u:other-pass@h")
    logging.getLogger("some.library").warning("said %s and %s", SECRET, {"key": SECRET})
    with pytest.raises(RuntimeError) as caught:
        _fail()
    LOG.error("ours", exc_info=caught.value)
    logging.getLogger("some.library").error("theirs", exc_info=caught.value)
    with structlog.contextvars.bound_contextvars(bound=SECRET):
        LOG.info("bound")
    assert SECRET not in log.text
    assert "other-pass" not in log.text
    assert log.text.count("RuntimeError: outer ***") == 2
    assert log.text.count("ValueError: inner ***") == 2


def _fail() -> None:
    try:
        int(SECRET)
    except ValueError as error:
        inner = ValueError(f"inner {SECRET}")
        inner.__cause__ = error
        raise RuntimeError(f"outer {SECRET}") from inner


def test_embeddings_and_images_are_not_logged(logged: Configure) -> None:
    """Not even when a defect's text holds them."""
    log = logged()
    vector = [0.123456 + number for number in range(128)]
    logging.getLogger("some.library").error("row %s", vector)
    LOG.error("defect", exc_info=ValueError(f"cannot adapt {vector}"), image=b"\xff\xd8\xff")
    assert "0.123456" not in log.text
    assert "xff" not in log.text


def test_libraries_lines_carry_the_jobs_ids(logged: Configure) -> None:
    """What a library says while a job is handled can be found by the job's ids."""
    log = logged()
    with structlog.contextvars.bound_contextvars(photo_id="p1"):
        logging.getLogger("nats.aio.client").warning("slow consumer")
    logging.getLogger("nats.aio.client").warning("reconnected")
    assert [line.get("photo_id") for line in log.lines] == ["p1", None]
    assert log.lines[0]["logger"] == "nats.aio.client"


def test_every_line_names_the_worker(logged: Configure) -> None:
    """Ours, what concerns no job, a library's and a crash's: in a log of several workers it says which one."""
    log = logged()
    LOG.info("ours")
    of_the_worker(LOG.error, "dependency down")
    logging.getLogger("some.library").warning("theirs")
    sys.excepthook(ValueError, ValueError("a defect"), None)
    assert [line["worker"] for line in log.lines] == ["worker-1"] * 4


def test_chatty_libraries_are_quiet(logged: Configure) -> None:
    """What NATS, HTTP and asyncio say for their developers is left out, at debug level, too."""
    log = logged(level="debug")
    for name in (
        "nats.aio.client",
        "aiohttp.access",
        "asyncio",
        "urllib3.connectionpool",
        "psycopg.pool",
        "faiss.loader",
    ):
        logging.getLogger(name).info("chatter")
        logging.getLogger(name).warning("trouble")
    assert [line["event"] for line in log.lines] == ["trouble"] * 6


def test_a_pool_without_a_database_does_not_fill_the_log(logged: Configure) -> None:
    """It complains of every try, while the worker has said what is away."""
    log = logged()
    for number in range(35):
        logging.getLogger("psycopg.pool").warning("error connecting: %s", number)
    assert [line["event"] for line in log.lines] == ["error connecting: 0"]


@pytest.mark.parametrize("tracestate", ["x" * 5000, "a=b," * 40, "a" * 9000])
def test_publishers_cannot_fill_the_log(logged: Configure, tracestate: str) -> None:
    """What is wrong with the header of a trace is told to nobody here, who could do nothing about it."""
    log = logged()
    parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    for headers in ({"traceparent": parent, "tracestate": tracestate}, {"traceparent": "0" * 5000}):
        TraceContextTextMapPropagator().extract(headers)
    assert log.text == ""


def test_warnings_are_lines(logged: Configure) -> None:
    """A library's warning does not break the stream of JSON."""
    log = logged()
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.warn(f"old API {SECRET}", UserWarning, stacklevel=1)
    [line] = log.lines
    assert (line["level"], line["logger"]) == ("warning", "py.warnings")
    assert "old API" in line["event"]


def test_a_crash_is_a_line(logged: Configure) -> None:
    """An error that ends the process or a thread is logged like any other, and as carefully."""
    log = logged(secrets=(SECRET,))
    thread = threading.Thread(target=lambda: int(SECRET), name="worker-thread")
    thread.start()
    thread.join()
    [line] = log.lines
    assert (line["action"], line["thread"], line["level"]) == ("thread_crashed", "worker-thread", "error")
    assert "ValueError" in line["exception"]
    assert SECRET not in log.text


async def test_asyncios_complaints_are_lines(logged: Configure) -> None:
    """An exception that no one retrieved is reported by the loop, through the log."""
    log = logged(secrets=(SECRET,))

    async def fail() -> None:
        raise ValueError(SECRET)

    task = asyncio.create_task(fail())
    await asyncio.wait({task})
    del task
    gc.collect()
    [line] = log.lines
    assert (line["logger"], line["level"]) == ("asyncio", "error")
    assert SECRET not in log.text


def test_a_line_is_json_whatever_it_holds(logged: Configure) -> None:
    """Objects, keys, not-a-number and lone surrogates included."""
    log = logged()
    LOG.info("odd", value=object(), nan=float("nan"), text="\udcff", keys={1: 2}, error=ValueError("x"), when=LOG)
    assert json.loads(log.text)["nan"] == "nan"
