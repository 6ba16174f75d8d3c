"""The audit sees what it is there to see: a run that lost, doubled or changed anything does not pass it."""

import random
from collections import Counter
from collections.abc import Callable
from typing import Any, Final
from uuid import UUID

import attrs
import pytest

from tests.faults.album import KINDS, Job, jobs_of
from tests.faults.audit import Event, Findings, compare

_NAMED: Final = {kind.name: kind for kind in KINDS}
_FACE: Final = (0, "dlib@2", '{"x1": 1}', "hash")
_MATCH: Final = (0, UUID(int=1), 0.05)
JOBS: Final = jobs_of([_NAMED["matched"], _NAMED["malformed_payload"]], random.Random(1))
MATCHED: Final = JOBS[0]
MALFORMED: Final = JOBS[1]


def _event(job: Job, outcome: str, reason: str | None) -> Event:
    said = {"outcome": outcome, "reason": reason}
    return Event(f"facematch-{job.job_id}", job.job_id, said)


def _good() -> Findings:
    """Return what an undisturbed run of the two jobs leaves."""
    return Findings(
        outcomes={MATCHED.job_id: [("matched", None)], MALFORMED.job_id: [("skipped", "malformed_payload")]},
        identities={job.job_id: f"facematch-{job.job_id}" for job in JOBS},
        faces={MATCHED.photo: Counter([_FACE])},
        matches={MATCHED.photo: Counter([_MATCH])},
        events={
            MATCHED.job_id: [_event(MATCHED, "matched", None)],
            MALFORMED.job_id: [_event(MALFORMED, "skipped", "malformed_payload")],
        },
        dead=[(MALFORMED.job_id, "malformed_payload")],
    )


def test_the_same_run_is_good() -> None:
    """Nothing is found wrong where nothing is."""
    assert compare(JOBS, _good(), _good()).good


def test_a_repeated_event_is_no_fault() -> None:
    """At least once: copies with one identity are allowed."""
    event = _event(MATCHED, "matched", None)
    events = {**_good().events, MATCHED.job_id: [event, event]}
    assert compare(JOBS, _good(), attrs.evolve(_good(), events=events)).good


_OTHER_EVENT: Final = attrs.evolve(_event(MATCHED, "matched", None), message_id="facematch-other")
FLAWS: dict[str, tuple[str, Callable[[Findings], dict[str, Any]]]] = {
    "no outcome": ("lost", lambda good: {"outcomes": {**good.outcomes, MATCHED.job_id: []}}),
    "no event": ("lost", lambda good: {"events": {**good.events, MATCHED.job_id: []}}),
    "no dead letter of what is malformed": ("lost", lambda _: {"dead": []}),
    "two outcomes": ("doubled", lambda good: {"outcomes": {**good.outcomes, MATCHED.job_id: [("matched", None)] * 2}}),
    "two events": (
        "doubled",
        lambda good: {"events": {**good.events, MATCHED.job_id: [*good.events[MATCHED.job_id], _OTHER_EVENT]}},
    ),
    "two matches": ("doubled", lambda _: {"matches": {MATCHED.photo: Counter({_MATCH: 2})}}),
    "two dead letters": ("doubled", lambda good: {"dead": [*good.dead, *good.dead]}),
    "another outcome": (
        "wrong",
        lambda good: {"outcomes": {**good.outcomes, MATCHED.job_id: [("skipped", "no_face")]}},
    ),
    "another box": ("wrong", lambda _: {"faces": {MATCHED.photo: Counter([(0, "dlib@2", '{"x1": 2}', "hash")])}}),
    "no face": ("wrong", lambda _: {"faces": {}}),
    "another user": ("wrong", lambda _: {"matches": {MATCHED.photo: Counter([(0, UUID(int=2), 0.05)])}}),
    "an event that says something else": (
        "wrong",
        lambda good: {"events": {**good.events, MATCHED.job_id: [_event(MATCHED, "skipped", "no_match")]}},
    ),
    "rows of no job": ("wrong", lambda good: {"faces": {**good.faces, UUID(int=9): Counter([_FACE])}}),
    "a dead letter": ("dead", lambda good: {"dead": [*good.dead, (MATCHED.job_id, "internal_error")]}),
}


@pytest.mark.parametrize("flaw", FLAWS)
def test_a_flaw_is_found(flaw: str) -> None:
    """Each is told under its own heading."""
    heading, change = FLAWS[flaw]
    verdict = compare(JOBS, _good(), attrs.evolve(_good(), **change(_good())))
    assert (verdict.good, bool(getattr(verdict, heading))) == (False, True), verdict
