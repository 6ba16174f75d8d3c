"""Workers that are killed, stopped and frozen, each replaced by the next."""

import json
import signal
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from tests.e2e.world import WorkerProcess

_LAST_WORDS: Final = 1000


class Crew:
    """As many workers as it has places; whoever ends a worker starts another in its place.

    ``deaths`` tells of the workers that ended without being told to, or otherwise than they were told.
    """

    def __init__(self, environment: dict[str, str], folder: Path, places: int) -> None:
        self._environment = environment
        self._folder = folder
        self._logs: list[Path] = []
        self._workers: list[WorkerProcess | None] = [None] * places
        self.deaths: list[str] = []

    @property
    def present(self) -> Sequence[int]:
        """The places whose worker runs, as far as anybody knows."""
        return [place for place, worker in enumerate(self._workers) if worker is not None]

    def worker(self, place: int) -> WorkerProcess:
        """Return the worker of a place where there is one."""
        worker = self._workers[place]
        if worker is None:
            raise LookupError(f"nobody works at place {place}")
        return worker

    def start(self, place: int) -> WorkerProcess:
        """Start a worker in a free place; it is not waited for."""
        self._logs.append(self._folder / f"worker-{len(self._logs)}.log")
        self._workers[place] = worker = WorkerProcess(self._environment, self._logs[-1])
        return worker

    def kill(self, place: int) -> None:
        """Kill the worker as ``kill -9`` does, and leave its place free."""
        worker = self._leave(place)
        worker.process.kill()
        worker.process.wait()

    def ask_to_stop(self, place: int) -> WorkerProcess:
        """Send SIGTERM and leave the place free; the worker is returned, to be waited for."""
        worker = self._leave(place)
        worker.process.send_signal(signal.SIGTERM)
        return worker

    def note_deaths(self) -> None:
        """Look for workers that ended by themselves."""
        for place in self.present:
            worker = self.worker(place)
            if worker.process.poll() is not None:
                self.note_death(worker)
                self._workers[place] = None

    def note_death(self, worker: WorkerProcess) -> None:
        """Remember with what words a worker ended."""
        words = worker.log.read_text(errors="replace")[-_LAST_WORDS:]
        self.deaths.append(f"exit code {worker.process.returncode}: {words}")

    def end(self) -> None:
        """Kill whoever is left."""
        for place in self.present:
            self.kill(place)

    def lines(self) -> Iterator[dict[str, Any]]:
        """Yield the JSON lines of every log, the last one of a killed worker only where it is whole."""
        for log in self._logs:
            for line in log.read_text(errors="replace").splitlines():
                try:
                    yield json.loads(line)
                except ValueError:
                    continue

    def _leave(self, place: int) -> WorkerProcess:
        worker = self.worker(place)
        self.note_deaths()
        self._workers[place] = None
        return worker
