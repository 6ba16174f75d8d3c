"""Events are marked once published, and published for workers that died."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

import pytest

from application.ports.ledger import Outbox
from application.running.event_relay import _BATCH, EventRelay
from application.running.outages import Outages
from application.running.tasks import ended
from domain.errors import DatabaseUnavailableError, MessagingUnavailableError
from domain.jobs import JobKey
from domain.outcomes import Reason
from domain.records import JobRecord, Skipped
from tests.fakes.announcements import InMemoryResultPublisher
from tests.fakes.clock import SteppedClock, settle
from tests.fakes.database import InMemoryDatabase
from tests.fakes.ledger import InMemoryLedger
from tests.fakes.telemetry import RecordingTelemetry

ORPHAN_SECONDS = 2.0
REFUSED = MessagingUnavailableError("no rights")
UNPUBLISHABLE = ValueError("Out of range float values are not JSON compliant")


class Scene:
    """A ledger of outcomes, the stream of events, and one worker's relay between them."""

    def __init__(self) -> None:
        self.clock = SteppedClock()
        self.database = InMemoryDatabase(self.clock)
        self.ledger = InMemoryLedger(self.database)
        self.results = InMemoryResultPublisher()
        self.telemetry = RecordingTelemetry()
        self.outages = Outages({DatabaseUnavailableError: self.database}, clock=self.clock, telemetry=self.telemetry)
        self.relay = self.relay_on(self.ledger)

    def relay_on(self, outbox: Outbox) -> EventRelay:
        """Return a worker's relay that reads this outbox."""
        return EventRelay(
            outbox,
            self.results,
            clock=self.clock,
            telemetry=self.telemetry,
            outages=self.outages,
            orphan_seconds=ORPHAN_SECONDS,
        )

    async def record(self, sequence: int = 1) -> JobRecord:
        """Record an outcome, as a worker does before it publishes the event, or dies."""
        return await self.ledger.conclude(
            JobRecord(
                key=JobKey(sequence, self.clock.now()),
                outcome=Skipped(Reason.NO_FACE),
                occurred_at=self.clock.now() + timedelta(microseconds=sequence),
                embedder="scripted@1",
                worker="worker-1",
                photo_id=UUID(int=sequence),
            )
        )

    async def orphans(self, count: int) -> list[JobRecord]:
        """Record outcomes whose worker dies before it publishes anything, and let their time come."""
        records = [await self.record(sequence) for sequence in range(1, count + 1)]
        await self.clock.advance(ORPHAN_SECONDS)
        return records

    async def unmarked(self) -> list[JobRecord]:
        """Return the records whose events nobody has marked."""
        return list(await self.ledger.unpublished(older_than_seconds=0, limit=1000))


class CountingOutbox(InMemoryLedger):
    """One that knows how many events it was asked for at once."""

    most_read = 0

    async def unpublished(self, *, older_than_seconds: float, limit: int) -> Sequence[JobRecord]:
        """Count, and return them."""
        self.most_read = max(self.most_read, limit)
        return await super().unpublished(older_than_seconds=older_than_seconds, limit=limit)


@pytest.fixture
def scene() -> Scene:
    """Return a scene without any outcome."""
    return Scene()


async def test_what_was_published_is_marked(scene: Scene) -> None:
    """An event that the worker published itself is marked in the next round and not published again."""
    record = await scene.record()
    scene.relay.published(record.key)
    await scene.relay.round()
    await scene.clock.advance(ORPHAN_SECONDS)
    await scene.relay.round()
    assert (await scene.unmarked(), scene.results.published, scene.telemetry.orphans) == ([], [], 0)


async def test_an_orphan_is_published_and_marked(scene: Scene) -> None:
    """The event of a worker that died is published once, and it is told that it was."""
    [record] = await scene.orphans(1)
    await scene.relay.round()
    await scene.relay.round()
    assert (scene.results.published, await scene.unmarked(), scene.telemetry.orphans) == ([record], [], 1)


async def test_a_young_event_is_left_to_its_worker(scene: Scene) -> None:
    """An outcome of a moment ago is most likely being published by whoever recorded it."""
    await scene.record()
    await scene.clock.advance(ORPHAN_SECONDS - 0.1)
    await scene.relay.round()
    assert scene.results.published == []


async def test_an_event_published_during_the_round_is_no_orphan(scene: Scene) -> None:
    """What this worker published between marking and looking for orphans is not published again."""
    [record] = await scene.orphans(1)

    class Busy(InMemoryLedger):
        async def unpublished(self, *, older_than_seconds: float, limit: int) -> list[JobRecord]:
            found = await super().unpublished(older_than_seconds=older_than_seconds, limit=limit)
            relay.published(record.key)
            return list(found)

    relay = scene.relay_on(Busy(scene.database))
    await relay.round()
    assert (scene.results.published, await scene.unmarked(), scene.telemetry.orphans) == ([], [], 0)


async def test_orphans_are_published_within_five_seconds(scene: Scene) -> None:
    """Whenever a worker dies, another one has published its events 5 seconds later."""
    running = asyncio.create_task(scene.relay.run())
    for sequence in range(1, 8):
        await scene.clock.advance(0.7)
        record = await scene.record(sequence)
        await scene.clock.advance(5)
        assert record in scene.results.published
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def test_a_batch_is_followed_by_the_next(scene: Scene) -> None:
    """However many orphans a large worker leaves behind, one round publishes them all, oldest first, each once."""
    records = await scene.orphans(1234)
    await scene.relay.round()
    assert (scene.results.published, await scene.unmarked()) == (records, [])


@pytest.mark.parametrize("poisonous", [0, 50], ids=["alone", "and some events are poisonous"])
async def test_a_broker_that_goes_away_ends_the_round(scene: Scene, poisonous: int) -> None:
    """Once no event of a batch can be stored, nothing more is tried before the next round."""

    class FullAfter150(InMemoryResultPublisher):
        async def publish(self, record: JobRecord) -> None:
            if self.tried >= 150:
                self.tried += 1
                raise MessagingUnavailableError("results: no room")
            await super().publish(record)

    records = await scene.orphans(1000)
    scene.results = FullAfter150()
    scene.results.poison = dict.fromkeys((record.key for record in records[:poisonous]), UNPUBLISHABLE)
    await scene.relay_on(scene.ledger).round()
    assert scene.results.tried == 300
    assert scene.results.published == records[poisonous:150]


async def test_marks_that_are_not_kept_do_not_hold_a_round_for_ever(scene: Scene) -> None:
    """A round ends although every look brings the same orphans again."""

    class Forgetful(InMemoryLedger):
        async def mark_published(self, keys: object) -> None:
            pass

    records = await scene.orphans(100)
    await scene.relay_on(Forgetful(scene.database)).round()
    assert list(scene.results.events.values()) == records


async def test_a_worker_that_stops_leaves_the_rest_of_a_round(scene: Scene) -> None:
    """Of many orphans no further one is published once the relay is cancelled; another worker has the others."""
    records = await scene.orphans(1000)
    running = asyncio.create_task(scene.relay.run())
    while not scene.results.published:
        await settle(1)
    running.cancel()
    await asyncio.wait({running})
    stopped_at = len(scene.results.published)
    await settle()
    assert (running.cancelled(), len(scene.results.published) == stopped_at <= 100) == (True, True)
    await scene.relay_on(scene.ledger).round()
    assert list(scene.results.events.values()) == records


async def test_a_look_for_orphans_goes_through_own_events_once(scene: Scene) -> None:
    """What this worker published meanwhile is not gone through again for each orphan."""

    class Counted(JobKey):
        hashed = 0

        def __hash__(self) -> int:
            Counted.hashed += 1
            return super().__hash__()

    class Busy(InMemoryLedger):
        async def unpublished(self, *, older_than_seconds: float, limit: int) -> list[JobRecord]:
            relay.published(Counted(7, scene.clock.now()))
            return list(await super().unpublished(older_than_seconds=older_than_seconds, limit=limit))

    await scene.orphans(99)
    relay = scene.relay_on(Busy(scene.database))
    await relay.round()
    assert (len(scene.results.published), Counted.hashed < 10) == (99, True)


async def test_a_broker_that_is_down_is_left_to_a_later_round(scene: Scene) -> None:
    """Nothing is marked that is not stored; all is published at once when the broker is back."""
    records = await scene.orphans(3)
    scene.results.available = False
    for _ in range(30):
        await scene.relay.round()
        await scene.clock.advance(1)
    assert (await scene.unmarked(), scene.telemetry.orphans, scene.telemetry.errors) == (records, 0, [])
    scene.results.available = True
    await scene.relay.round()
    assert (scene.results.published, await scene.unmarked()) == (records, [])


async def test_the_age_of_the_oldest_event_that_waits_is_known(scene: Scene) -> None:
    """However many follow it, also one that is refused; 0 for none, unknown while the database is away."""
    assert scene.relay.oldest_age is None
    await scene.relay.round()
    assert scene.relay.oldest_age == 0
    oldest, *_ = await scene.orphans(3)
    scene.results.poison[oldest.key] = UNPUBLISHABLE
    await scene.clock.advance(58)
    await scene.relay.round()
    assert scene.relay.oldest_age == pytest.approx(60, abs=0.01)
    scene.database.available = False
    await scene.relay.round()
    assert scene.relay.oldest_age is None
    scene.database.available = True
    scene.results.poison.clear()
    await scene.clock.advance(2)
    for _ in range(2):
        await scene.relay.round()
    assert scene.relay.oldest_age == 0
    await scene.outages.stop()


async def test_a_database_that_is_down_is_left_to_a_later_round(scene: Scene) -> None:
    """It is told to everyone; what was published meanwhile is remembered and marked when the database is back."""
    record = await scene.record()
    scene.relay.published(record.key)
    scene.database.available = False
    await scene.relay.round()
    assert scene.outages.down.keys() == {"database"}
    scene.database.available = True
    await scene.relay.round()
    assert (await scene.unmarked(), scene.results.published) == ([], [])
    await scene.outages.stop()


async def test_an_orphan_that_cannot_be_marked_is_not_published_again(scene: Scene) -> None:
    """A database that goes away between publishing and marking costs no second publication."""
    [record] = await scene.orphans(1)
    scene.database.failing.add("mark_published")
    await scene.relay.round()
    scene.database.failing.clear()
    await scene.relay.round()
    assert (scene.results.published, await scene.unmarked(), scene.telemetry.orphans) == ([record], [], 1)


async def test_a_mark_that_is_cut_off_is_made_in_the_end(scene: Scene) -> None:
    """A relay stopped in the middle of marking forgets nothing: the last flush marks it."""

    class Slow(InMemoryLedger):
        async def mark_published(self, keys: object) -> None:  # noqa: ARG002 - the port's signature
            await asyncio.Event().wait()

    record = await scene.record()
    relay = scene.relay_on(Slow(scene.database))
    relay.published(record.key)
    running = asyncio.create_task(relay.run())
    await settle()
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    relay._outbox = scene.ledger
    await relay.flush()
    assert await scene.unmarked() == []


async def test_what_is_published_while_marks_are_made_is_marked_next(scene: Scene) -> None:
    """Only what was marked is forgotten, not what came in meanwhile."""
    first, second = await scene.record(1), await scene.record(2)
    scene.relay.published(first.key)
    marking = asyncio.create_task(scene.relay.flush())
    await asyncio.sleep(0)
    scene.relay.published(second.key)
    await marking
    assert await scene.unmarked() == [second]
    await scene.relay.flush()
    assert await scene.unmarked() == []


@pytest.mark.parametrize("error", [UNPUBLISHABLE, MessagingUnavailableError("refused")], ids=["defect", "refusal"])
async def test_an_event_that_can_never_be_published_holds_up_no_other(scene: Scene, error: Exception) -> None:
    """All but the poisonous event are published and marked in the same round, once."""
    poison, *others = await scene.orphans(5)
    scene.results.poison[poison.key] = error
    await scene.relay.round()
    await scene.relay.round()
    assert (scene.results.published, await scene.unmarked(), scene.telemetry.orphans) == (others, [poison], 4)


async def test_more_poison_than_a_batch_holds_up_nothing(scene: Scene) -> None:
    """However many old events cannot be published, newer ones are."""
    records = await scene.orphans(350)
    poisonous, others = records[:320], records[320:]
    scene.results.poison = dict.fromkeys((record.key for record in poisonous), UNPUBLISHABLE)
    for _ in range(6):
        await scene.relay.round()
    assert (scene.results.published, await scene.unmarked()) == (others, poisonous)


async def test_a_batch_of_refused_events_holds_up_no_newer_one(scene: Scene) -> None:
    """However many old events the broker refuses, and although nothing else is published, the next one is stored."""
    *refused, good = await scene.orphans(2 * _BATCH + 1)
    scene.results.poison = dict.fromkeys((record.key for record in refused), REFUSED)
    running = asyncio.create_task(scene.relay.run())
    await scene.clock.advance(2)
    assert scene.results.published == [good]
    later = await scene.record(1000)
    await scene.clock.advance(5)
    assert scene.results.published == [good, later]
    await ended(running)


async def test_hundreds_of_refused_events_hold_up_no_newer_one_where_a_job_publishes_now_and_then(scene: Scene) -> None:
    """Those that were set back far ahead are not forgotten when the oldest are tried again."""
    *refused, good = await scene.orphans(9 * _BATCH + 1)
    scene.results.poison = dict.fromkeys((record.key for record in refused), REFUSED)
    running = asyncio.create_task(scene.relay.run())
    for sequence in range(2000, 2010):
        scene.relay.published((await scene.record(sequence)).key)
        await scene.clock.advance(3)
    assert good in scene.results.published
    await ended(running)


async def test_an_outage_of_the_broker_costs_a_batch_in_each_round_and_ends_at_once(scene: Scene) -> None:
    """However many events wait and however long it lasts; two seconds after its end all of them are stored."""
    records = await scene.orphans(3 * _BATCH + 50)
    scene.results.available = False
    running = asyncio.create_task(scene.relay.run())
    await scene.clock.advance(600)
    assert 600 * _BATCH * 3 / 4 < scene.results.tried <= 601 * _BATCH
    scene.results.available = True
    await scene.clock.advance(2)
    assert (set(scene.results.events), await scene.unmarked()) == ({record.key for record in records}, [])
    assert len(scene.results.published) == len(records)
    await ended(running)


async def test_an_outage_with_many_events_does_not_read_all_of_them_in_each_round(scene: Scene) -> None:
    """A thousand are passed over at most, then it begins with the oldest again."""
    await scene.orphans(20 * _BATCH)
    scene.results.available = False
    outbox = CountingOutbox(scene.database)
    scene.relay = scene.relay_on(outbox)
    running = asyncio.create_task(scene.relay.run())
    await scene.clock.advance(30)
    assert outbox.most_read == 10 * _BATCH
    await ended(running)


async def test_an_outage_in_which_events_are_added_ends_at_once_for_all(scene: Scene) -> None:
    """Those that were tried long ago do not wait until nothing new comes."""
    records = await scene.orphans(_BATCH)
    scene.results.available = False
    running = asyncio.create_task(scene.relay.run())
    for sequence in range(1001, 1021):
        scene.results.available = sequence > 1010
        records.append(await scene.record(sequence))
        await scene.clock.advance(1)
    assert set(scene.results.events) >= {record.key for record in records[:-2]}
    await ended(running)


@pytest.mark.parametrize("by", ["jobs", "relay"])
async def test_a_refused_event_is_tried_ever_more_rarely_while_others_are_stored(scene: Scene, by: str) -> None:
    """Whether the worker's own jobs publish them or its relay does, every minute in the end."""
    [refused] = await scene.orphans(1)
    scene.results.poison[refused.key] = REFUSED
    running = asyncio.create_task(scene.relay.run())
    for sequence in range(2, 3602):
        record = await scene.record(sequence)
        if by == "jobs":
            scene.relay.published(record.key)
        await scene.clock.advance(1)
    assert 70 <= scene.results.tried - len(scene.results.published) <= 120
    scene.results.poison.clear()
    await scene.clock.advance(62)
    assert (refused in scene.results.published, await scene.unmarked()) == (True, [])
    await ended(running)


async def test_a_poisonous_event_is_tried_ever_more_rarely(scene: Scene) -> None:
    """It is reported each time, and published after all where it can be one day."""
    [poison] = await scene.orphans(1)
    scene.results.poison[poison.key] = UNPUBLISHABLE
    running = asyncio.create_task(scene.relay.run())
    await scene.clock.advance(60)
    early = len(scene.telemetry.errors)
    await scene.clock.advance(3600)
    late = len(scene.telemetry.errors) - early
    assert set(scene.telemetry.errors) == {UNPUBLISHABLE}
    assert 8 <= early <= 12
    assert 70 <= late <= 90
    scene.results.poison.clear()
    await scene.clock.advance(61)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert (scene.results.published, await scene.unmarked()) == ([poison], [])


async def test_a_defect_in_one_round_does_not_end_the_rounds(scene: Scene) -> None:
    """An error that nobody foresaw is reported, and the next round does its work."""
    error = KeyError("a column that is gone")

    class BrokenOnce(InMemoryLedger):
        broken = True

        async def unpublished(self, *, older_than_seconds: float, limit: int) -> list[JobRecord]:
            if self.broken:
                self.broken = False
                raise error
            return list(await super().unpublished(older_than_seconds=older_than_seconds, limit=limit))

    [record] = await scene.orphans(1)
    relay = scene.relay_on(BrokenOnce(scene.database))
    running = asyncio.create_task(relay.run())
    await scene.clock.advance(1)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert (scene.telemetry.errors, scene.results.published) == ([error], [record])


async def test_two_workers_may_publish_the_same_orphan(scene: Scene) -> None:
    """Two relays at once leave one event for each outcome."""
    records = await scene.orphans(3)
    other = scene.relay_on(scene.ledger)
    await asyncio.gather(scene.relay.round(), other.round())
    assert (list(scene.results.events.values()), await scene.unmarked()) == (records, [])
