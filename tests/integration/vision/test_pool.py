"""The pool of processes, with a third party's embedder that does its worst."""

import asyncio
import contextlib
import errno
import os
import resource
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs
import pytest

from adapters.vision.processes.pool import PAUSE_SECONDS, PoolLimits, ProcessPoolFaceReader
from application.ports.dependency import Dependency
from application.ports.face_pipeline import Embed, ImageBudget
from domain.errors import (
    AttemptFailedError,
    EmbedderCrashedError,
    EmbedderFailedError,
    EmbedderTimeoutError,
    EmbedderUnavailableError,
    FacematchError,
    UnreadableImageError,
)
from tests.integration.vision.conftest import EMBEDDERS, PATIENCE_SECONDS, StartPool, eventually
from tests.processes import UNPRIVILEGED, children, is_running, shows_its_memory
from tests.readers import end_maker, makers, pool_of, processes_of

GONE_SECONDS = 5.0
LATE_SECONDS = 2.5
"""More than a process's last words are waited for, and less than a new one is."""
MODEL_BYTES = 64 * 1024**2
"""What the embedder ``hostile-start`` loads."""


@pytest.fixture
def well(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the embedders that a file tells what to do loaded without trouble."""
    (tmp_path / "start").write_text("well")
    monkeypatch.setenv("HOSTILE_START", str(tmp_path / "start"))


async def ask(pool: ProcessPoolFaceReader, image: bytes) -> int:
    """Have an image read; return the id of the process that did."""
    return (await pool.read(image, embed=Embed.ALL)).width


@contextlib.contextmanager
def limited(pool: ProcessPoolFaceReader, seconds: float) -> Iterator[None]:
    """Give photographs no more time than that until the block ends."""
    usual, pool._limits = pool._limits, attrs.evolve(pool._limits, seconds=seconds)
    try:
        yield
    finally:
        pool._limits = usual


async def whoever_works(signpost: Path) -> int:
    """Return the id of the process that has begun to obey an order with that file."""
    begun = signpost.with_suffix(".begun")
    await eventually(lambda: begun.exists() and begun.read_text())
    return int(begun.read_text())


@pytest.mark.parametrize(
    ("order", "words"),
    [
        (b"segfault", "SIGSEGV"),
        (b"abort", "SIGABRT"),
        (b"exit-0", "exit code 0"),
        (b"exit-3", "exit code 3"),
        (b"exhaust", "memory limit"),
        (b"babble", "nonsense|not asked"),
        (b"boast", "SIGKILL|exit code"),
    ],
)
async def test_a_process_that_dies_is_a_crash_and_is_replaced(start_pool: StartPool, order: bytes, words: str) -> None:
    """However a process ends, or loses its senses, its caller is told, and the next one has a new process."""
    pool = await start_pool()
    with pytest.raises(EmbedderCrashedError, match=words):
        await ask(pool, order)
    assert await ask(pool, b"hello")
    assert pool.restarts == 1


async def test_a_crash_is_blamed_on_the_photograph_that_a_new_process_dies_of_too(start_pool: StartPool) -> None:
    """One that had looked at others may have died of them: before anybody is told, a second one dies."""
    pool = await start_pool()
    before = await ask(pool, b"hello")
    with pytest.raises(EmbedderCrashedError, match="SIGSEGV"):
        await ask(pool, b"segfault")
    assert await ask(pool, b"hello") != before
    assert pool.restarts == 2


async def test_a_photograph_does_not_pay_for_an_earlier_one(start_pool: StartPool) -> None:
    """Where an earlier photograph has left no memory, or memory in disorder, the next one is read all the same."""
    pool = await start_pool(memory=512 * 1024**2, growth=512 * 1024**2)
    spoilt = await ask(pool, b"leak 352")
    assert await ask(pool, b"need 200") != spoilt
    spoilt = await ask(pool, b"undermine")
    assert await ask(pool, b"hello") != spoilt
    assert pool.restarts == 2


async def test_a_process_that_has_grown_is_replaced(start_pool: StartPool) -> None:
    """Memory that is never given back is, by a new process, and that is no restart."""
    pool = await start_pool(growth=64 * 1024**2)
    first = await ask(pool, b"leak 128")
    assert [await ask(pool, order) for order in (b"leak 48", b"leak 48")] == [first, first]
    second = await ask(pool, b"hello")
    assert second != first
    assert await ask(pool, b"need 200") == second
    assert await ask(pool, b"hello") == second
    assert pool.restarts == 0


@pytest.mark.parametrize("order", [b"hang", b"spin", b"backtrack"])
async def test_a_process_that_hangs_is_killed_at_its_limit(start_pool: StartPool, order: bytes) -> None:
    """Neither sleeping for ever nor holding the interpreter's lock helps it, be it in native code."""
    pool = await start_pool()
    before = await ask(pool, b"hello")
    started = time.monotonic()
    with limited(pool, 0.5), pytest.raises(EmbedderTimeoutError, match=r"0\.5 s"):
        await ask(pool, order)
    assert 0.5 <= time.monotonic() - started < GONE_SECONDS
    assert not is_running(before)
    assert await ask(pool, b"hello") != before
    assert pool.restarts == 1


async def test_a_process_that_grows_meets_its_limit(start_pool: StartPool, tmp_path: Path) -> None:
    """It ends at its own limit of memory, not at the machine's."""
    pool = await start_pool(memory=512 * 1024**2)
    taken = tmp_path / "taken"
    with pytest.raises(EmbedderCrashedError, match="memory limit"):
        await ask(pool, b"grow " + bytes(taken))
    assert 256 < int(taken.read_text()) <= 512
    assert await ask(pool, b"hello")


async def test_a_process_that_grows_in_shared_memory_is_watched(start_pool: StartPool) -> None:
    """What the kernel's limit does not count is counted all the same."""
    pool = await start_pool(memory=256 * 1024**2, seconds=20.0)
    with pytest.raises(EmbedderCrashedError, match="memory limit"):
        await ask(pool, b"share")
    assert await ask(pool, b"hello")


async def test_the_pool_tells_what_its_processes_hold(start_pool: StartPool) -> None:
    """All of them together; what a photograph has left behind is in it, and what ended with a process no longer is."""
    mib = 1024**2
    pool = await start_pool()
    leaky = await ask(pool, b"hello")
    at_rest = pool.memory
    assert at_rest > 0
    await ask(pool, b"leak 128")
    assert 128 * mib <= pool.memory - at_rest < 256 * mib
    os.kill(leaky, signal.SIGKILL)
    await eventually(lambda: 0 < pool.memory < at_rest + 64 * mib)


async def test_what_the_processes_hold_can_be_asked_from_another_thread(start_pool: StartPool) -> None:
    """An exporter that asks while a process is being replaced, between two of its looks, is told something."""
    asking: set[int] = set()
    replaced = threading.Event()

    class Looked(asyncio.Task[Any]):
        """A task whose process is lost when the exporter's thread looks whether it is done."""

        def done(self) -> bool:
            """Answer that thread when another process is being started in the place of this one."""
            done = super().done()
            if threading.get_ident() in asking:
                asking.clear()
                os.kill(doomed, signal.SIGKILL)
                assert replaced.wait(PATIENCE_SECONDS)
            return done

    def ask_for_memory() -> int:
        asking.add(threading.get_ident())
        return pool.memory

    asyncio.get_running_loop().set_task_factory(lambda loop, work, **options: Looked(work, loop=loop, **options))
    pool = await start_pool()
    [maker] = makers()
    [doomed] = processes_of(maker)  # it has read nothing: there is a pause before the next one
    exporter = asyncio.create_task(asyncio.to_thread(ask_for_memory))
    await eventually(lambda: pool.restarts == 1)
    replaced.set()
    await exporter


async def test_a_process_is_confined(start_pool: StartPool) -> None:
    """The kernel bounds its private memory, writes none of it to a file when it crashes."""
    pool = await start_pool()
    worker = await ask(pool, b"hello")
    assert resource.prlimit(worker, resource.RLIMIT_DATA) == (2 * 1024**3, 2 * 1024**3)
    assert resource.prlimit(worker, resource.RLIMIT_CORE) == (0, 0)


async def test_a_process_killed_while_idle_is_replaced_before_it_is_missed(start_pool: StartPool) -> None:
    """Nobody asks, and yet there is a new process; nobody gets an error."""
    pool = await start_pool()
    before = await ask(pool, b"hello")
    os.kill(before, signal.SIGKILL)
    await eventually(lambda: pool.restarts == 1)
    assert await ask(pool, b"hello") != before


async def test_a_process_killed_at_work_harms_no_other(start_pool: StartPool, tmp_path: Path) -> None:
    """One caller is told; another one's photograph, read meanwhile, is not disturbed."""
    pool = await start_pool(processes=2)
    doomed, spared = tmp_path / "doomed", tmp_path / "spared"
    first = asyncio.create_task(ask(pool, b"wait " + bytes(doomed)))
    second = asyncio.create_task(ask(pool, b"wait " + bytes(spared)))
    victim, survivor = await whoever_works(doomed), await whoever_works(spared)
    os.kill(victim, signal.SIGKILL)
    with pytest.raises(EmbedderCrashedError, match="SIGKILL"):
        await first
    spared.touch()
    assert await second == survivor
    assert pool.restarts == 1


async def test_a_crash_that_leaves_a_child_behind_ends_at_the_time_limit(start_pool: StartPool) -> None:
    """A grandchild that keeps the connection open keeps nobody waiting for ever."""
    pool = await start_pool()
    with limited(pool, 0.5), pytest.raises((EmbedderTimeoutError, EmbedderCrashedError)):
        await ask(pool, b"fork")
    assert await ask(pool, b"hello")


@pytest.mark.parametrize("size", [1, 300_000, 20 * 1024**2])
async def test_images_of_any_size_arrive(start_pool: StartPool, size: int) -> None:
    """More than fits into the connection at once, too."""
    pool = await start_pool()
    assert (await pool.read(b"#" * size, embed=Embed.NONE)).height == size


async def test_an_image_that_was_half_given_is_read_by_the_next_process(start_pool: StartPool) -> None:
    """Whoever kills a process at work, as the kernel does without memory, costs nobody an answer."""
    pool = await start_pool()
    victim = await ask(pool, b"hello")
    os.kill(victim, signal.SIGSTOP)
    task = asyncio.create_task(ask(pool, b"#" * 20 * 1024**2))
    await asyncio.sleep(0)
    os.kill(victim, signal.SIGKILL)
    assert await task != victim
    assert pool.restarts == 1


async def test_what_an_embedder_prints_goes_nowhere(start_pool: StartPool, capfd: pytest.CaptureFixture[str]) -> None:
    """Standard output belongs to the product, standard error to its log, and the connection to nobody else."""
    pool = await start_pool()
    assert await ask(pool, b"print")
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("order", "error", "words"),
    [
        (b"raise", EmbedderFailedError, "failed with RuntimeError"),
        (b"quit", EmbedderFailedError, "failed with SystemExit"),
        (b"unreadable", UnreadableImageError, "not a picture of anybody"),
        (b"other-error", EmbedderFailedError, "something foreseen"),
        (b"other-model", AttemptFailedError, "returned an embedding of other@1"),
        (b"other-dimension", AttemptFailedError, "of hostile@7 with 4"),
        (b"forget", EmbedderFailedError, "without the embedding that was asked for"),
        (b"not-a-reading", EmbedderFailedError, "returned str, not a PhotoReading"),
    ],
)
async def test_an_error_costs_no_process(
    start_pool: StartPool, order: bytes, error: type[FacematchError], words: str
) -> None:
    """Whatever an embedder raises or returns becomes one of the product's errors; its process goes on."""
    pool = await start_pool()
    before = await ask(pool, b"hello")
    with pytest.raises(error, match=words):
        await ask(pool, order)
    assert await ask(pool, b"hello") == before
    assert pool.restarts == 0


async def test_the_words_of_a_third_party_are_not_repeated(start_pool: StartPool) -> None:
    """They may quote the image."""
    pool = await start_pool()
    with pytest.raises(AttemptFailedError) as raised:
        await ask(pool, b"raise")
    assert "the words" not in f"{raised.value!r} {raised.value.__cause__!r}"


async def test_a_process_retires_after_its_photographs(start_pool: StartPool) -> None:
    """It is replaced without an error, and that is no restart."""
    pool = await start_pool(photographs=3)
    workers = [await ask(pool, b"hello") for _ in range(7)]
    assert [workers.count(pid) for pid in dict.fromkeys(workers)] == [3, 3, 1]
    assert pool.restarts == 0


async def test_a_caller_who_leaves_does_not_stop_the_photograph(start_pool: StartPool, tmp_path: Path) -> None:
    """The process finishes, and then has the next one."""
    pool = await start_pool()
    signpost = tmp_path / "go"
    task = asyncio.create_task(ask(pool, b"wait " + bytes(signpost)))
    worker = await whoever_works(signpost)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    following = asyncio.create_task(ask(pool, b"hello"))
    signpost.touch()
    assert await following == worker
    assert pool.restarts == 0


async def test_closing_ends_everything_at_once(start_pool: StartPool, tmp_path: Path) -> None:
    """Work in hand, and whoever waits for a process, gets an error; no process stays."""
    pool = await start_pool()
    signpost = tmp_path / "never"
    working = asyncio.create_task(ask(pool, b"wait " + bytes(signpost)))
    worker = await whoever_works(signpost)
    waiting = [asyncio.create_task(ask(pool, b"hello")) for _ in range(3)]
    await asyncio.sleep(0)
    async with asyncio.timeout(GONE_SECONDS):
        await pool.close()
        for task in (working, *waiting):
            with pytest.raises(AttemptFailedError, match="closed"):
                await task
        with pytest.raises(AttemptFailedError, match="closed"):
            await ask(pool, b"hello")
        await pool.close()
    assert not is_running(worker)


@pytest.mark.parametrize("order", ["spin", "hang"])
async def test_closing_does_not_wait_for_who_hangs(start_pool: StartPool, tmp_path: Path, order: str) -> None:
    """A process that answers nothing any more is killed."""
    pool = await start_pool()
    task = asyncio.create_task(ask(pool, f"{order} {tmp_path / 'never'}".encode()))
    worker = await whoever_works(tmp_path / "never")
    async with asyncio.timeout(GONE_SECONDS):
        await pool.close()
    with pytest.raises(AttemptFailedError, match="closed"):
        await task
    assert not is_running(worker)


async def test_closing_while_it_starts(third_party: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: ARG001 - its effect is wanted
    """A start that is given up leaves no process behind."""
    (tmp_path / "start").write_text("hang")
    monkeypatch.setenv("HOSTILE_START", str(tmp_path / "start"))
    pool = pool_of("hostile-start", 2)
    start = asyncio.create_task(pool.start())
    await eventually(makers)
    start.cancel()
    async with asyncio.timeout(GONE_SECONDS):
        await pool.close()
        with pytest.raises(asyncio.CancelledError):
            await start
    assert makers() == []


async def test_what_was_begun_early_is_what_serves(third_party: None, well: None) -> None:  # noqa: ARG001 - as above
    """The models that are being loaded before there is an event loop are not loaded a second time."""
    pool = pool_of("hostile-start", 1)
    pool.begin()
    begun = makers()
    try:
        await pool.start()
        assert await ask(pool, b"who?") not in (os.getpid(), *begun)
        assert makers() == begun != []
    finally:
        await pool.close()
    assert makers() == []


async def test_what_was_begun_early_and_died_is_begun_again(third_party: None, well: None) -> None:  # noqa: ARG001 - as above
    """Somebody killed it before the pool was started: that costs time, and is no reason not to start."""
    pool = pool_of("hostile-start", 1)
    pool.begin()
    end_maker()
    try:
        await pool.start()
        assert await ask(pool, b"who?") != os.getpid()
    finally:
        await pool.close()


async def test_what_was_begun_early_ends_with_a_pool_that_never_started(third_party: None, well: None) -> None:  # noqa: ARG001 - as above
    """A worker whose settings are wrong leaves no process behind."""
    pool = pool_of("hostile-start", 1)
    pool.begin()
    assert len(makers()) == 1
    await pool.close()
    assert makers() == []


@pytest.mark.parametrize(
    ("order", "words"),
    [
        ("raise", "'hostile-start' cannot be loaded: RuntimeError: no model here"),
        ("die", "no vision process can be started: .* exit code 9"),
        ("hang", r"'hostile-start' was not loaded within 1 s"),
    ],
)
async def test_a_pipeline_that_cannot_be_loaded_stops_the_start(
    start_pool: StartPool,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    order: str,
    words: str,
) -> None:
    """The message says which and why, and no process stays."""
    (tmp_path / "start").write_text(order)
    monkeypatch.setenv("HOSTILE_START", str(tmp_path / "start"))
    monkeypatch.setattr("adapters.vision.processes.pool.PAUSE_SECONDS", 0.05)
    if order == "hang":
        monkeypatch.setattr("adapters.vision.processes.fork_server.START_SECONDS", 1.0)
    with pytest.raises(EmbedderUnavailableError, match=words):
        await start_pool("hostile-start", processes=3)
    assert makers() == []


async def test_a_process_that_is_killed_at_the_start_is_replaced(
    start_pool: StartPool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever kills a process that is still being loaded does not keep the pool from its work."""
    (tmp_path / "start").write_text("hang")
    monkeypatch.setenv("HOSTILE_START", str(tmp_path / "start"))
    starting = asyncio.ensure_future(start_pool("hostile-start", processes=1))
    await eventually(makers)
    (tmp_path / "start").write_text("well")
    end_maker()
    assert await ask(await starting, b"hello")


async def test_an_embedder_that_cannot_be_loaded_any_more_is_a_dependency_that_is_down(
    start_pool: StartPool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever asks meanwhile is told why, none is said to have crashed it; loadable again, all is well again."""
    (tmp_path / "start").write_text("well")
    monkeypatch.setenv("HOSTILE_START", str(tmp_path / "start"))
    pool = await start_pool("hostile-start", processes=2)
    dependency: Dependency = pool
    await dependency.check()
    (tmp_path / "start").write_text("raise")
    end_maker()
    await eventually(lambda: pool.restarts == 2)
    with pytest.raises(EmbedderUnavailableError, match="no model here"):
        await dependency.check()
    told = await asyncio.gather(*(ask(pool, b"hello") for _ in range(4)), return_exceptions=True)
    assert {type(error) for error in told} == {EmbedderUnavailableError}
    (tmp_path / "start").write_text("well")
    await dependency.check()
    assert await ask(pool, b"hello")
    assert (dependency.name, pool.restarts) == ("embedder", 2)


@pytest.mark.parametrize("code", [errno.EAGAIN, errno.ENOMEM], ids=["no process", "no memory"])
async def test_a_system_without_room_for_a_process_is_an_outage(
    start_pool: StartPool, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    """What the system says is told; with room again, all is well again."""

    def refuse(*_: object, **__: object) -> None:
        raise OSError(code, os.strerror(code))

    pool = await start_pool()
    with monkeypatch.context() as full:
        full.setattr("adapters.vision.processes.fork_server.subprocess.Popen", refuse)
        end_maker()
        await eventually(lambda: pool.restarts == 1)
        with pytest.raises(EmbedderUnavailableError, match=os.strerror(code)):
            await pool.check()
    await pool.check()
    assert await ask(pool, b"hello")


async def test_a_place_without_a_process_is_passed_over(
    start_pool: StartPool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While one process works nobody hears that another one cannot be started, and the pool is up."""
    (tmp_path / "start").write_text("well")
    monkeypatch.setenv("HOSTILE_START", str(tmp_path / "start"))
    pool = await start_pool("hostile-threads", processes=2)
    (tmp_path / "start").write_text("raise")
    with pytest.raises(EmbedderCrashedError):
        await ask(pool, b"segfault")
    workers = await asyncio.gather(*(ask(pool, b"hello") for _ in range(6)))
    assert len(set(workers)) == 1
    await pool.check()


async def test_a_check_has_an_end(start_pool: StartPool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that takes for ever to load is no process; the check waits for it and does not start another."""
    (tmp_path / "start").write_text("well")
    monkeypatch.setenv("HOSTILE_START", str(tmp_path / "start"))
    monkeypatch.setattr("adapters.vision.processes.pool.CHECK_SECONDS", 0.5)
    pool = await start_pool("hostile-start")
    await ask(pool, b"hello")
    (tmp_path / "start").write_text("hang")
    end_maker()
    await eventually(lambda: pool.restarts == 1)
    for _ in range(2):
        with pytest.raises(EmbedderUnavailableError, match=r"no vision process was ready within 0\.5 s"):
            await pool.check()
    assert len(makers()) == 1


async def test_a_replacement_that_dies_is_not_started_again_and_again(
    start_pool: StartPool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While nobody asks, nothing is tried; asked all the time, it pauses longer and longer: no storm of processes."""
    (tmp_path / "start").write_text("well")
    monkeypatch.setenv("HOSTILE_START", str(tmp_path / "start"))
    pool = await start_pool("hostile-start")
    (tmp_path / "start").write_text("die")
    end_maker()
    await eventually(lambda: pool.restarts == 1)
    with pytest.raises(EmbedderUnavailableError, match="exit code 9"):
        await ask(pool, b"hello")
    await eventually(lambda: makers() == [])
    for pause in (1.0, 2.0):
        started = time.monotonic()
        with pytest.raises(EmbedderUnavailableError, match="exit code 9"):
            await ask(pool, b"hello")
        assert time.monotonic() - started >= pause
    assert pool.restarts == 1


async def test_a_process_that_dies_unused_is_not_replaced_at_once(start_pool: StartPool) -> None:
    """One that never looked at a photograph was started in vain, and so may the next one be."""
    pool = await start_pool()
    [unused] = processes_of(makers()[0])
    killed = time.monotonic()
    os.kill(unused, signal.SIGKILL)
    await eventually(lambda: pool.restarts == 1)
    assert await ask(pool, b"hello") != unused
    assert time.monotonic() - killed >= PAUSE_SECONDS


async def test_processes_share_what_was_loaded(well: None, start_pool: StartPool) -> None:  # noqa: ARG001 - its effect is wanted
    """A model is in memory once, whatever the number of processes: what it takes was loaded before they were made."""
    pool = await start_pool("hostile-start", processes=3)
    [maker] = makers()
    processes = processes_of(maker)
    assert len(processes) == 3
    assert resident(maker) > MODEL_BYTES
    assert sum(map(own, processes)) < MODEL_BYTES
    assert await ask(pool, b"hello") in processes


async def test_who_cannot_be_forked_loads_for_itself(well: None, start_pool: StartPool) -> None:  # noqa: ARG001 - its effect is wanted
    """A pipeline that has threads would lose them: each process loads its own, and is replaced by one that does."""
    pool = await start_pool("hostile-threads", processes=2)
    assert len(makers()) == 2
    assert [processes_of(pid) for pid in makers()] == [[], []]
    workers = await asyncio.gather(*(ask(pool, b"hello") for _ in range(4)))
    assert set(workers) == set(makers())
    with pytest.raises(EmbedderCrashedError, match="SIGSEGV"):
        await ask(pool, b"segfault")
    assert await ask(pool, b"hello")
    await eventually(lambda: len(makers()) == 2)


async def test_the_maker_of_processes_is_replaced_with_them(start_pool: StartPool) -> None:
    """Killed, it takes its processes with it, and nobody who asks gets an error."""
    pool = await start_pool(processes=2)
    before = [await ask(pool, b"hello") for _ in range(2)]
    end_maker()
    await eventually(lambda: pool.restarts == 2)
    after = await asyncio.gather(*(ask(pool, b"hello") for _ in range(4)))
    assert not set(before) & set(after)


async def test_a_maker_that_does_not_answer_is_replaced(start_pool: StartPool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Asked for a process in vain, it is killed, and another one asked after the usual pause."""
    pool = await start_pool()
    worker, [maker] = await ask(pool, b"hello"), makers()
    os.kill(maker, signal.SIGSTOP)
    with monkeypatch.context() as hurried:
        hurried.setattr("adapters.vision.processes.fork_server._FORK_SECONDS", 0.5)
        hurried.setattr("adapters.vision.processes.process._REAP_SECONDS", 0.5)
        os.kill(worker, signal.SIGKILL)
        with pytest.raises(EmbedderUnavailableError, match=r"no vision process was made within 0\.5 s"):
            await ask(pool, b"hello")
    assert await ask(pool, b"hello") != worker
    assert not is_running(maker)


async def test_a_maker_that_is_late_costs_nobody_but_who_waits(start_pool: StartPool) -> None:
    """While it sleeps a process dies, and its end is asked for in vain; when it wakes, the others are still there."""
    pool = await start_pool(processes=2)
    [maker] = makers()
    victim, survivor = processes_of(maker)
    os.kill(maker, signal.SIGSTOP)
    os.kill(victim, signal.SIGKILL)
    await asyncio.sleep(LATE_SECONDS)
    os.kill(maker, signal.SIGCONT)
    await eventually(lambda: pool.restarts == 1)
    answers = {await ask(pool, b"hello") for _ in range(4)}
    assert survivor in answers
    assert makers() == [maker]


async def test_who_waits_for_the_same_load_hears_of_its_failure(
    start_pool: StartPool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many processes are wanted, a pipeline that cannot be loaded is loaded once."""
    (tmp_path / "start").write_text("slowly")
    monkeypatch.setenv("HOSTILE_START", str(tmp_path / "start"))
    with pytest.raises(EmbedderUnavailableError, match="no model here"):
        await start_pool("hostile-start", processes=8)
    assert (tmp_path / "start.loads").read_text() == "x"


async def test_no_room_for_another_process_is_an_outage(
    start_pool: StartPool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the system says to the maker of processes is told."""
    (tmp_path / "start").write_text("no-room")
    monkeypatch.setenv("HOSTILE_START", str(tmp_path / "start"))
    monkeypatch.setattr("adapters.vision.processes.pool.PAUSE_SECONDS", 0.05)
    with pytest.raises(EmbedderUnavailableError, match=os.strerror(errno.EAGAIN)):
        await start_pool("hostile-start")


PARENT = """
import asyncio, sys
from adapters.vision import registry
from adapters.vision.processes.pool import ProcessPoolFaceReader
from application.ports.face_pipeline import Embed, ImageBudget

async def main():
    pool = ProcessPoolFaceReader("hostile", registry.load("hostile").info, ImageBudget(), 2)
    await pool.start()
    print("started", flush=True)
    await pool.read(sys.argv[1].encode(), embed=Embed.NONE)

asyncio.run(main())
"""


def parent_at_work(order: str) -> tuple[subprocess.Popen[str], list[int]]:
    """Start a program with a pool of two, one of them busy; return it, and the ids of the two."""
    parent = subprocess.Popen(
        [*UNPRIVILEGED, sys.executable, "-c", PARENT, order],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(EMBEDDERS), *sys.path])},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert parent.stdout is not None
    assert parent.stdout.readline() == "started\n"
    [maker] = processes_of(parent.pid)
    return parent, processes_of(maker)


@pytest.mark.parametrize("order", ["hang", "spin", "backtrack"])
async def test_processes_do_not_survive_their_parent(order: str) -> None:
    """Killed with -9, the parent takes them with it: the idle one, and the one that does not listen."""
    parent, pids = parent_at_work(order)
    assert [is_running(pid) for pid in pids] == [True, True]
    parent.kill()
    parent.communicate()
    await eventually(lambda: not any(map(is_running, pids)), GONE_SECONDS)


async def test_processes_cannot_look_into_each_other() -> None:
    """One that a photograph has taken over reads neither what the others look at nor what their maker holds."""
    parent, pids = parent_at_work("hang")
    try:
        assert [shows_its_memory(pid) for pid in (*children(parent.pid), *pids)] == [False] * 3
        assert shows_its_memory(parent.pid), "it has not asked for that"
        assert [expendability(pid) - expendability(parent.pid) for pid in pids] == [500, 500]
    finally:
        parent.kill()
        parent.communicate()


async def test_the_kernel_would_kill_a_vision_process_first(start_pool: StartPool) -> None:
    """A machine without memory shall lose a process that is replaced within a second, not the worker."""
    pool = await start_pool()
    assert expendability(await ask(pool, b"hello")) == min(expendability(os.getpid()) + 500, 1000)


@pytest.mark.parametrize(("pixels", "gibibytes"), [(60_000_000, 2), (1_000_000, 2), (200_000_000, 4.97)])
def test_memory_follows_the_budget_of_pixels(pixels: int, gibibytes: float) -> None:
    """Whoever allows larger photographs gets processes that can decode them."""
    assert PoolLimits().memory_for(ImageBudget(max_pixels=pixels)) / 1024**3 == pytest.approx(gibibytes, abs=0.01)


async def test_signals_for_the_whole_service_do_not_reach_them(start_pool: StartPool) -> None:
    """SIGINT and SIGTERM are the parent's: it decides when the work in hand is done."""
    pool = await start_pool()
    worker = await ask(pool, b"hello")
    os.kill(worker, signal.SIGTERM)
    os.kill(worker, signal.SIGINT)
    assert await ask(pool, b"hello") == worker
    assert os.getsid(worker) != os.getsid(0)


def expendability(pid: int) -> int:
    """Return by how much the kernel, out of memory, would rather kill a process than its size says."""
    return int(Path(f"/proc/{pid}/oom_score_adj").read_text())


def resident(pid: int) -> int:
    """Return how many bytes of memory a process has, its own or not."""
    return _memory(pid, "Rss")


def own(pid: int) -> int:
    """Return how many bytes of a process's memory are nobody else's."""
    return _memory(pid, "Private_Clean") + _memory(pid, "Private_Dirty")


def _memory(pid: int, kind: str) -> int:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except PermissionError:
        pytest.skip("what memory is whose is told to root alone")
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{kind}:"))
