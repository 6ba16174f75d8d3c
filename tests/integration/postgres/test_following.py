"""A worker's copy of the gallery: whatever is written meanwhile, the next search finds, and nothing comes in twice."""

import asyncio
import threading
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from contextvars import ContextVar
from uuid import UUID

import attrs
import psycopg
import pytest

from adapters.faiss_codes.codes import Codes
from adapters.postgres.connection.database import Connection, Database
from adapters.postgres.connection.statements import Statement
from adapters.postgres.gallery import nearest
from adapters.postgres.gallery.gallery import PostgresGallery
from adapters.postgres.gallery.nearest import Wanted
from adapters.postgres.migrate import migrate
from adapters.postgres.search_index import following
from adapters.postgres.search_index.feed import GalleryFeed, Moment
from adapters.postgres.search_index.standing import IndexNames
from domain.faces import FaceEmbedding
from tests.databases import make_index
from tests.fakes.clock import ManualClock
from tests.integration.postgres.use import opened

MODEL = "model@1"
PROBE = FaceEmbedding(MODEL, (1.0, 0.0, 0.0, 0.0))
NEW = UUID(int=7)
JOB = ContextVar("job", default="nobody")
ENROL = "INSERT INTO users VALUES (%s, '[1,0,0,0]', 'model@1')"


@attrs.frozen
class Worker:
    """A gallery that is loaded, its clock, the codes that it has made, and what it told of.

    Who holds ``making`` lets no codes be made.
    """

    gallery: PostgresGallery
    clock: ManualClock
    made: list[Codes]
    troubles: list[Exception]
    making: threading.Lock

    async def nearest(self) -> UUID:
        """Search, and return who is nearest."""
        [first, *_] = (await self.gallery.search(PROBE, limit=2)).nearest
        return first.user_id

    async def refreshed(self, until: Callable[[], bool]) -> None:
        """Search as time goes by until it is so."""
        for _ in range(100):
            if until():
                return
            self.clock.advance(1)
            await self.nearest()
            await asyncio.sleep(0.05)
        raise AssertionError("it never came to that")


@pytest.fixture
async def worker(admin: psycopg.Connection, database_url: str) -> AsyncIterator[Worker]:
    """Return a worker that has loaded an index of 20 users."""
    await migrate(database_url)
    admin.execute(
        "INSERT INTO users SELECT gen_random_uuid(), ARRAY[0, cos(g), sin(g), 0]::vector, 'model@1' "
        "FROM generate_series(1, 20) g"
    )
    await make_index(database_url, MODEL, dimension=4)
    made, troubles = list[Codes](), list[Exception]()
    making = threading.Lock()

    def make(learnt: bytes) -> Codes:
        assert making.acquire(timeout=10)
        try:
            made.append(Codes(learnt))
            return made[-1]
        finally:
            making.release()

    clock = ManualClock()
    async with opened(database_url) as database:
        gallery = PostgresGallery(database, make, clock=clock, report=troubles.append, exact_below=0)
        await gallery.load(MODEL, 4)
        yield Worker(gallery, clock, made, troubles, making)
        await gallery.close()


async def test_an_enrolment_is_found_by_the_next_search_and_taken_in_once(
    admin: psycopg.Connection, worker: Worker
) -> None:
    """No time passes between commit and search; later the codes have it, and no longer ask for it."""
    [codes] = worker.made
    admin.execute(ENROL, [NEW])
    assert (await worker.nearest(), len(codes)) == (NEW, 20)
    await worker.refreshed(lambda: len(codes) == 21)
    admin.execute("UPDATE facematch.gallery SET changed = '3' WHERE user_id = %s", [NEW])  # as if long ago
    assert await worker.nearest() == NEW


async def test_a_brief_search_takes_no_thread(
    admin: psycopg.Connection, worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To hand it over would take longer than the search."""
    admin.execute(ENROL, [NEW])
    monkeypatch.delattr(Codes, "near")
    assert await worker.nearest() == NEW


async def test_a_search_while_users_are_added_waits_without_the_others(
    admin: psycopg.Connection, worker: Worker
) -> None:
    """It does so in a thread: the event loop goes on."""
    admin.execute(ENROL, [NEW])
    with worker.made[0]._in_use:
        search = asyncio.create_task(worker.nearest())
        await asyncio.sleep(0.2)
        assert not search.done()
    assert await search == NEW


async def test_a_transaction_that_stays_open_hides_nobody(
    admin: psycopg.Connection, database_url: str, worker: Worker
) -> None:
    """It began before others that are taken in, and is found once it is committed; nobody comes in again and again."""
    [codes] = worker.made
    with psycopg.connect(database_url) as slow:
        slow.execute(ENROL, [NEW])
        admin.execute("INSERT INTO users VALUES (%s, '[0,0,0,1]', 'model@1')", [UUID(int=8)])
        await worker.refreshed(lambda: len(codes) == 21)
        for _ in range(3):
            worker.clock.advance(1)
            assert await worker.nearest() != NEW
            await asyncio.sleep(0.1)
        slow.commit()
    assert await worker.nearest() == NEW
    await worker.refreshed(lambda: len(codes) == 22)


async def test_who_changes_is_compared_as_they_are_now(admin: psycopg.Connection, worker: Worker) -> None:
    """A template that is replaced, a user who is deleted: neither is found as they were."""
    admin.execute(ENROL, [NEW])
    await worker.refreshed(lambda: len(worker.made[0]) == 21)
    admin.execute("UPDATE users SET face_embedding = '[-1,0,0,0]' WHERE id = %s", [NEW])
    assert await worker.nearest() != NEW
    admin.execute("UPDATE users SET face_embedding = '[1,0,0,0]' WHERE id = %s", [NEW])
    assert await worker.nearest() == NEW
    admin.execute("DELETE FROM users WHERE id = %s", [NEW])
    assert await worker.nearest() != NEW


async def test_an_index_that_is_made_anew_is_loaded_meanwhile(
    admin: psycopg.Connection, database_url: str, worker: Worker
) -> None:
    """Searches go on with what was loaded before."""
    admin.execute("UPDATE facematch.codebooks SET learnt_at = now()")
    admin.execute(ENROL, [NEW])
    worker.clock.advance(11)
    assert await worker.nearest() == NEW
    await worker.refreshed(lambda: len(worker.made) == 2 and len(worker.made[1]) == 21)
    assert await worker.nearest() == NEW
    await make_index(database_url, MODEL, dimension=4)


async def test_what_a_search_does_not_wait_for_is_no_job_s(
    admin: psycopg.Connection, worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Changes are taken in, an index is loaded anew and users are counted again in the name of nobody."""
    asked = list[tuple[str, str]]()
    operation = Database.operation

    def noting_whose_it_is(
        database: Database, name: str, *, seconds: float | None = None
    ) -> AbstractAsyncContextManager[Connection]:
        asked.append((name, JOB.get()))
        return operation(database, name, seconds=seconds)

    async def search(job: str) -> None:
        JOB.set(job)
        await worker.nearest()

    monkeypatch.setattr(Database, "operation", noting_whose_it_is)
    await asyncio.create_task(search("first"))
    admin.execute("UPDATE facematch.codebooks SET learnt_at = now()")
    worker.clock.advance(11)
    await asyncio.create_task(search("second"))
    await worker.refreshed(lambda: len(worker.made) == 2)
    worker.clock.advance(30)
    await asyncio.create_task(search("third"))
    assert {name for name, job in asked if job != "nobody"} == {"count", "look_at_index", "nearest"}
    counts = Counter(job for name, job in asked if name == "count")  # a search among so few counts them once more
    assert (counts["first"], counts["second"], counts["third"]) == (2, 1, 2)


async def test_searches_go_on_while_codes_are_made(admin: psycopg.Connection, worker: Worker) -> None:
    """The event loop is not held up; who is enrolled meanwhile is found, then and once the new codes are there."""
    admin.execute("UPDATE facematch.codebooks SET learnt_at = now()")
    worker.clock.advance(11)
    with worker.making:
        async with asyncio.timeout(5):
            await worker.nearest()
            admin.execute(ENROL, [NEW])
            await asyncio.sleep(0.2)
            assert await worker.nearest() == NEW
        assert len(worker.made) == 1
    await worker.refreshed(lambda: len(worker.made) == 2 and len(worker.made[1]) == 21)
    assert await worker.nearest() == NEW


async def test_a_worker_stops_while_codes_are_made(admin: psycopg.Connection, worker: Worker) -> None:
    """It does not wait for them."""
    admin.execute("UPDATE facematch.codebooks SET learnt_at = now()")
    worker.clock.advance(11)
    with worker.making:
        async with asyncio.timeout(5):
            await worker.nearest()
            await asyncio.sleep(0.2)
            await worker.gallery.close()
        assert len(worker.made) == 1


async def test_the_first_of_all_ids_is_loaded(admin: psycopg.Connection, worker: Worker) -> None:
    """It is a user like all others."""
    admin.execute(ENROL, [UUID(int=0)])
    admin.execute("UPDATE facematch.gallery SET changed = '3'")  # as if long ago
    await worker.gallery.load(MODEL, 4)
    assert await worker.nearest() == UUID(int=0)
    assert len(worker.made[1]) == 21


async def test_after_most_users_have_left_the_codes_are_loaded_anew(
    admin: psycopg.Connection, worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The old ones serve meanwhile; then searches find enough of those who are left by the index again."""
    monkeypatch.setattr(following, "_SPARE", 5)
    near, searching_all, exact = Codes.near_at_once, PostgresGallery._searching_all, list[Wanted]()
    monkeypatch.setattr(Codes, "near_at_once", lambda codes, probe: (near(codes, probe) or [])[:2])

    def compared_with_everybody(gallery: PostgresGallery, wanted: Wanted) -> Statement:
        exact.append(wanted)
        return searching_all(gallery, wanted)

    monkeypatch.setattr(PostgresGallery, "_searching_all", compared_with_everybody)
    await worker.nearest()
    assert not exact
    left = [user.user_id for user in (await worker.gallery.search(PROBE, limit=20)).nearest][-4:]
    exact.clear()
    admin.execute("DELETE FROM users WHERE id <> ALL (%s)", [left])
    admin.execute("VACUUM facematch.gallery")
    worker.clock.advance(300)
    with worker.making:
        assert await worker.nearest() in left
        await asyncio.sleep(0.2)
        assert await worker.nearest() in left
        assert len(exact) == 2
    await worker.refreshed(lambda: len(worker.made) == 2 and len(worker.made[1]) == 4)
    exact.clear()
    assert await worker.nearest() in left
    assert not exact


async def test_codes_are_not_loaded_again_for_an_estimate_that_did_not_help(
    admin: psycopg.Connection, worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server may take users for far fewer than they are: each estimate is tried once, 5 minutes after the last."""
    monkeypatch.setattr(following, "_SPARE", 5)

    async def estimated(users: int) -> int:
        admin.execute("UPDATE pg_class SET reltuples = %s WHERE oid = %s::regclass", [users, partition])
        worker.clock.advance(300)
        for _ in range(20):
            worker.clock.advance(1)
            await worker.nearest()
            await asyncio.sleep(0.05)
        return len(worker.made)

    partition = f"facematch.{IndexNames.of(MODEL).partition}"
    made = [await estimated(users) for users in (3, 3, 2)]
    admin.execute(ENROL, [NEW])
    await worker.refreshed(lambda: len(worker.made[-1]) == 21)
    assert (made, worker.troubles) == ([2, 2, 3], [])


async def test_codes_that_cannot_be_loaded_anew_serve_on_and_take_in_changes(
    admin: psycopg.Connection, worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is told once, however often it is tried."""
    monkeypatch.setattr(following, "_SPARE", 5)
    read = list[object]()

    async def damaged(feed: GalleryFeed) -> bytes:
        read.append(feed)
        return b"of another time"

    monkeypatch.setattr(GalleryFeed, "codebook", damaged)
    admin.execute("DELETE FROM users WHERE id NOT IN (SELECT id FROM users LIMIT 4)")
    admin.execute("VACUUM facematch.gallery")

    async def tried(times: int) -> None:
        worker.clock.advance(300)
        await worker.refreshed(lambda: len(read) == times)
        admin.execute(ENROL, [UUID(int=times)])
        await worker.refreshed(lambda: len(worker.made[0]) == 20 + times)
        assert await worker.nearest() == UUID(int=1)

    await tried(1)
    await tried(2)
    assert ["is damaged" in str(error) for error in worker.troubles] == [True]


async def test_an_index_that_cannot_be_read_is_told_once(
    admin: psycopg.Connection, database_url: str, worker: Worker
) -> None:
    """In a sentence that says what to do; a worker starts without it, and finds everybody."""
    admin.execute("UPDATE facematch.codebooks SET content = 'of another time', learnt_at = now()")
    async with opened(database_url) as database:
        gallery = PostgresGallery(database, Codes, clock=worker.clock, report=worker.troubles.append, exact_below=0)
        await gallery.load(MODEL, 4)
        starting = attrs.evolve(worker, gallery=gallery)
        admin.execute(ENROL, [NEW])
        for _ in range(3):
            worker.clock.advance(11)
            assert await starting.nearest() == NEW
            await asyncio.sleep(0.1)
    (told,) = worker.troubles
    assert "is damaged, or of a newer release: run `facematch index`" in str(told)


async def test_a_worker_that_was_there_before_an_index_that_cannot_be_read_goes_on(
    admin: psycopg.Connection, worker: Worker
) -> None:
    """It tells it once, too."""
    admin.execute("UPDATE facematch.codebooks SET content = 'of another time', learnt_at = now()")
    admin.execute(ENROL, [NEW])
    for _ in range(3):
        worker.clock.advance(11)
        assert await worker.nearest() == NEW
        await asyncio.sleep(0.1)
    assert ["is damaged" in str(error) for error in worker.troubles] == [True]


async def test_when_many_have_changed_everybody_is_compared_with(
    admin: psycopg.Connection, worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Looking each of them up would take longer."""
    monkeypatch.setattr(nearest, "_TOO_MANY", 5)
    admin.execute(
        "INSERT INTO users SELECT gen_random_uuid(), ARRAY[0, cos(g), sin(g), 0]::vector, 'model@1' "
        "FROM generate_series(1, 8) g"
    )
    admin.execute(ENROL, [NEW])
    admin.execute("DELETE FROM facematch.gallery WHERE user_id = %s", [NEW])
    assert await worker.nearest() == NEW


async def test_rows_from_another_server_s_transactions_are_found(
    admin: psycopg.Connection, database_url: str, worker: Worker
) -> None:
    """After a dump is restored they may be from transactions to come: compared with by each search until put right."""
    admin.execute("UPDATE facematch.gallery SET changed = '4000000000'")
    admin.execute(ENROL, [NEW])
    assert await worker.nearest() == NEW
    await make_index(database_url, MODEL, dimension=4)
    ahead = admin.execute("SELECT count(*) FROM facematch.gallery WHERE changed > pg_current_xact_id()").fetchone()
    assert ahead == (0,)


async def test_another_server_is_asked_for_everything(
    admin: psycopg.Connection, worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a fail-over numbers of lost transactions come again: what was loaded counts no more, and is loaded anew."""
    [codes] = worker.made
    moment = GalleryFeed.moment

    async def of_another_server(feed: GalleryFeed) -> Moment:
        return attrs.evolve(await moment(feed), server="2000-01-01")

    monkeypatch.setattr(GalleryFeed, "moment", of_another_server)
    await worker.refreshed(lambda: len(worker.made) == 2 and len(worker.made[1]) == len(codes))
    monkeypatch.undo()
    admin.execute(ENROL, [NEW])
    admin.execute("UPDATE facematch.gallery SET changed = '3' WHERE user_id = %s", [NEW])  # as if long ago
    assert await worker.nearest() == NEW
    await worker.refreshed(lambda: len(worker.made) == 3 and len(worker.made[2]) == 21)
    assert await worker.nearest() == NEW


async def test_what_cannot_be_loaded_after_a_fail_over_is_left_alone_for_a_while(
    worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may be hundreds of megabytes, each second; that is told, and told again where it comes back later."""
    moment, failures = GalleryFeed.moment, list[object]()

    def out_of_memory(*rows: object) -> None:
        failures.append(rows)
        raise MemoryError

    async def fail_over(server: str) -> None:
        async def of_that_server(feed: GalleryFeed) -> Moment:
            return attrs.evolve(await moment(feed), server=server)

        monkeypatch.setattr(GalleryFeed, "moment", of_that_server)
        before = len(failures)
        with monkeypatch.context() as broken:
            broken.setattr(Codes, "add", out_of_memory)
            await worker.refreshed(lambda: len(failures) > before)
            for _ in range(100):
                worker.clock.advance(1)
                await worker.nearest()
        worker.clock.advance(300)
        made = len(worker.made)
        await worker.refreshed(lambda: len(worker.made) > made and len(worker.made[-1]) == 20)

    await fail_over("2000-01-01")
    await fail_over("2000-01-02")
    assert (len(failures), len(worker.troubles)) == (2, 2)


async def test_codes_that_a_user_was_added_to_by_half_are_given_up(
    admin: psycopg.Connection, worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They may be anybody's: everybody is compared with until they are loaded anew."""

    def by_half(*_: object) -> None:
        raise MemoryError

    admin.execute(ENROL, [NEW])
    with monkeypatch.context() as broken:
        broken.setattr(Codes, "add", by_half)
        await worker.refreshed(lambda: bool(worker.troubles))
    with monkeypatch.context() as unused:
        unused.delattr(Codes, "near_at_once")
        assert await worker.nearest() == NEW
    worker.clock.advance(300)
    await worker.refreshed(lambda: len(worker.made) == 2 and len(worker.made[1]) == 21)
    assert await worker.nearest() == NEW
