"""What happens to dead letters that an operator selects."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest

from application.operating.repair_dead_letters import Action, RepairDeadLetters, Selection
from application.ports.dead_letter_box import DeadLetter
from domain.errors import MessagingUnavailableError
from domain.outcomes import Reason
from tests.fakes.dead_letter_box import InMemoryDeadLetterBox

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)
REASONS = (Reason.STORAGE_UNAVAILABLE, Reason.MALFORMED_PAYLOAD, Reason.EMBEDDER_CRASHED)


def letter(sequence: int, reason: str = Reason.STORAGE_UNAVAILABLE, *, truncated_from: int | None = None) -> DeadLetter:
    """Return a letter that was buried so many minutes after noon."""
    return DeadLetter(
        sequence=sequence,
        stored_at=NOON + timedelta(minutes=sequence),
        reason=reason,
        error="-",
        deliveries=6,
        job_sequence=sequence + 100,
        body=str(sequence).encode(),
        truncated_from=truncated_from,
    )


def box_of(count: int) -> InMemoryDeadLetterBox:
    """Return a box of letters with the three reasons in turn."""
    box = InMemoryDeadLetterBox()
    for sequence in range(1, count + 1):
        box.put(letter(sequence, REASONS[(sequence - 1) % 3]))
    return box


@pytest.mark.parametrize(
    ("selection", "expected"),
    [
        (Selection(), [1, 2, 3, 4, 5, 6]),
        (Selection(sequences=frozenset({5, 2, 9})), [2, 5]),
        (Selection(reasons=frozenset({Reason.MALFORMED_PAYLOAD, Reason.EMBEDDER_CRASHED})), [2, 3, 5, 6]),
        (Selection(since=NOON + timedelta(minutes=5)), [5, 6]),
        (Selection(until=NOON + timedelta(minutes=3)), [1, 2]),
        (Selection(up_to=4), [1, 2, 3, 4]),
        (Selection(frozenset({1, 2, 3}), frozenset({Reason.STORAGE_UNAVAILABLE})), [1]),
        (Selection(frozenset({1, 6}), until=NOON + timedelta(minutes=2)), [1]),
    ],
)
async def test_all_that_is_said_must_be_met(selection: Selection, expected: list[int]) -> None:
    """Numbers, reasons and times narrow the selection, alone and together; the oldest comes first."""
    repair = RepairDeadLetters(box_of(6))
    assert [letter.sequence async for letter in repair.select(selection)] == expected


class CountingBox(InMemoryDeadLetterBox):
    """Counts the letters that are read."""

    read = 0

    async def letters(self, *, up_to: int, since: datetime | None = None, after: int = 0) -> AsyncIterator[DeadLetter]:
        """Go through what is there, and count."""
        async for found in super().letters(up_to=up_to, since=since, after=after):
            self.read += 1
            yield found


@pytest.mark.parametrize(("limit", "expected"), [(2, [3, 1000]), (3, [2, 3, 1000]), (9, [1, 2, 3, 1000])])
async def test_the_newest_are_found_beyond_every_gap(limit: int, expected: list[int]) -> None:
    """Also where most of those between were deleted, and where there are fewer than are asked for."""
    box = box_of(3)
    box.put(letter(1000))
    newest, count = await RepairDeadLetters(box).newest(Selection(), limit)
    assert ([found.sequence for found in newest], count) == (expected, 4)


async def test_the_newest_are_read_without_all_that_are_older() -> None:
    """A list of ten among 500 reads ten, a count none; only what a selection means has to be looked for in all."""
    box = CountingBox()
    for kept in box_of(500).kept.values():
        box.put(kept)
    newest, count = await RepairDeadLetters(box).newest(Selection(), 10)
    assert ([found.sequence for found in newest], count, box.read) == (list(range(491, 501)), 500, 10)
    assert (await RepairDeadLetters(box).counted(Selection()), box.read) == ((Selection(up_to=500), 500), 10)
    chosen, count = await RepairDeadLetters(box).newest(Selection(reasons=frozenset({REASONS[0]})), 1)
    assert ([found.sequence for found in chosen], count) == ([499], 167)


async def test_a_replay_puts_every_job_back_and_empties_the_box() -> None:
    """Many are sent again, each once; malformed ones are left."""
    box = box_of(99)
    done = [repaired async for repaired in RepairDeadLetters(box).replay(Selection())]
    malformed = [sequence for sequence in range(1, 100) if sequence % 3 == 2]
    assert [each.letter.sequence for each in done] == list(range(1, 100))
    assert [each.letter.sequence for each in done if each.action is Action.LEFT_MALFORMED] == malformed
    assert sorted(box.kept) == malformed
    assert sorted(int(job.body) for job in box.queue.jobs) == [n for n in range(1, 100) if n not in malformed]


async def test_malformed_jobs_are_sent_again_when_asked_for() -> None:
    """What was cut is not: nobody knows the rest."""
    box = box_of(2)
    box.put(letter(3, Reason.MALFORMED_PAYLOAD, truncated_from=2_000_000))
    done = [each.action async for each in RepairDeadLetters(box).replay(Selection(), include_malformed=True)]
    assert done == [Action.REPLAYED, Action.REPLAYED, Action.LEFT_TRUNCATED]
    assert sorted(box.kept) == [3]


async def test_what_dies_again_meanwhile_is_not_sent_again() -> None:
    """A replay ends, although each job that it sends comes back as a new letter at once."""
    box = box_of(1)
    done = []
    async for repaired in RepairDeadLetters(box).replay(Selection()):
        done.append(repaired.letter.sequence)
        box.put(letter(repaired.letter.sequence + 1))
    assert (done, sorted(box.kept)) == ([1], [2])


async def test_a_letter_is_deleted_only_after_its_job_is_stored() -> None:
    """What cannot be sent stays; what was done beside it is told first, and the failure after that."""
    box = box_of(4)
    box.failing.add(3)
    done: list[int] = []

    async def replay() -> None:
        async for repaired in RepairDeadLetters(box).replay(Selection()):
            done.append(repaired.letter.sequence)  # noqa: PERF401 - what was told before the failure must be kept

    with pytest.raises(MessagingUnavailableError):
        await replay()
    assert (done, sorted(box.kept)) == ([1, 2, 4], [2, 3])


async def test_a_crash_before_the_deletion_loses_nothing_and_repeats_nothing() -> None:
    """The letter that was sent but not deleted is only deleted by the next replay."""
    box = box_of(1)
    box.sticking.add(1)
    with pytest.raises(MessagingUnavailableError):
        _ = [repaired async for repaired in RepairDeadLetters(box).replay(Selection())]
    assert (len(box.queue.jobs), sorted(box.kept)) == (1, [1])
    box.sticking.clear()
    [done] = [repaired async for repaired in RepairDeadLetters(box).replay(Selection())]
    assert (done.action, len(box.queue.jobs), box.kept) == (Action.REPLAYED_BEFORE, 1, {})


async def test_a_dry_run_tells_the_same_and_does_nothing() -> None:
    """Of a replay and of a purge."""
    box = box_of(3)
    repair = RepairDeadLetters(box)
    told = [each.action async for each in repair.replay(Selection(), dry_run=True)]
    assert told == [Action.REPLAYED, Action.LEFT_MALFORMED, Action.REPLAYED]
    assert [each.action async for each in repair.purge(Selection(), dry_run=True)] == [Action.PURGED] * 3
    assert (sorted(box.kept), box.queue.jobs) == ([1, 2, 3], [])


async def test_a_purge_deletes_what_is_selected_and_nothing_that_came_later() -> None:
    """The bounds are those of the moment at which somebody agreed; what another has deleted meanwhile is gone."""
    box = box_of(3)
    repair = RepairDeadLetters(box)
    chosen = Selection(reasons=frozenset({Reason.STORAGE_UNAVAILABLE, Reason.EMBEDDER_CRASHED}))
    agreed, count = await repair.counted(chosen)
    assert count == 2
    box.put(letter(4))
    assert [each.letter.sequence async for each in repair.purge(agreed)] == [1, 3]
    assert (sorted(box.kept), box.queue.jobs) == ([2, 4], [])
