"""What is deleted of a user and what is not, and who may be at work on the same rows meanwhile."""

import asyncio
from datetime import timedelta
from uuid import UUID, uuid4

import psycopg
import pytest

from adapters.postgres.connection.database import Database
from adapters.postgres.erasure import Forgotten, StoredFace, erase
from adapters.postgres.gallery.enrolment import PostgresEnrolment
from adapters.postgres.gallery.reenrolment import PostgresReenrolment
from adapters.postgres.records.ledger import PostgresLedger
from application.ports.ledger import Attempt, CandidateGoneError
from domain.errors import DatabaseForbiddenError, DatabaseLockedError, DatabaseRefusedError
from domain.faces import FaceEmbedding
from domain.outcomes import Reason
from domain.records import Matched
from infra.local_stack.postgres import PostgresServer
from tests.contract.ledger.jobs import MODEL, NOON, accepted, embedding, header, key, recorded, unknown
from tests.databases import PreparedDatabase, make_index, new_role, of_an_application, url_of
from tests.integration.postgres.test_races import ids
from tests.integration.postgres.use import meanwhile, opened, waiting_for
from tests.tables import PostgresTables

_OWN_FACE = "INSERT INTO {photo_faces} (id, photo_id, face_index, embedding, created_at) VALUES (%s, %s, %s, %s, now())"
_MATCH = "INSERT INTO face_matches (id, photo_face_id, user_id, confidence) VALUES (gen_random_uuid(), %s, %s, 0.1)"
_TABLES = (
    "photos", "users", "photo_faces", "face_matches", "facematch.outcomes", "facematch.attempts", "facematch.templates",
    "facematch.prepared_templates", "facematch.gallery",
)  # fmt: skip


async def enrolled(database: Database, tables: PostgresTables) -> UUID:
    """Return a user with a template."""
    user = tables.add_user(uuid4())
    await PostgresEnrolment(database).save_template(user, embedding(1.0), photographs=1)
    return user


async def matched(ledger: PostgresLedger, tables: PostgresTables, user: UUID, photo: UUID | None = None) -> Matched:
    """Let a job match a user on a photo, a new one unless it is given."""
    told = await ledger.conclude_face(header(photo or tables.add_photo(uuid4())), accepted(user))
    assert isinstance(told.outcome, Matched)
    return told.outcome


def add_own_face(tables: PostgresTables, photo: UUID, *, index: int) -> UUID:
    """Insert a face as an earlier stage of the application does, with an embedding of its own."""
    face = uuid4()
    tables.run(_OWN_FACE, face, photo, index, "[1,0,0,0]")
    return face


def everything(tables: PostgresTables) -> dict[str, list[object]]:
    """Return the content of all tables that may tell of somebody."""
    return {table: [row for (row,) in tables.run(f"SELECT t::text FROM {table} t ORDER BY 1")] for table in _TABLES}


async def test_all_that_tells_of_a_user_goes_and_nobody_elses(database: Database, tables: PostgresTables) -> None:
    """Also what was prepared, and what the ledger says of their photo from before they were enrolled."""
    ledger, photo = PostgresLedger(database), tables.add_photo(uuid4())
    other = await enrolled(database, tables)
    theirs = await matched(ledger, tables, other)
    before = everything(tables)
    await ledger.conclude_face(header(photo, occurred_at=NOON - timedelta(days=1)), unknown())
    await ledger.note_attempt(Attempt(key(), 1, Reason.INTERNAL_ERROR, "", "worker-1", NOON, photo))
    user = await enrolled(database, tables)
    reenrolment = PostgresReenrolment(database)
    outdated = {one.user_id: one for one in await reenrolment.outdated("new@1", after=None, limit=9)}
    await reenrolment.prepare(outdated[user], FaceEmbedding("new@1", (0.0, 1.0, 0.0, 0.0)), photographs=1)
    match = await matched(ledger, tables, user, photo)
    assert await erase(database, user) == Forgotten(
        user_exists=True,
        template=True,
        index_rows=0,
        prepared_templates=1,
        enrolments=1,
        faces=1,
        matches=(match.match_id,),
        outcomes=2,
        attempts=1,
        photos=(photo,),
        photos_of_ledger=(),
        faces_left=(),
        nearest=(),
    )
    assert theirs.user_id == other
    tables.delete_user(user)
    assert everything(tables) == before


async def test_running_again_finds_nothing(database: Database, tables: PostgresTables) -> None:
    """And says so; nor is an id that nobody ever had a mistake."""
    user = await enrolled(database, tables)
    await matched(PostgresLedger(database), tables, user)
    assert not (await erase(database, user)).is_nothing
    again, unknown_user = await erase(database, user), await erase(database, uuid4())
    assert (again.is_nothing, again.user_exists) == (True, True)
    assert (unknown_user.is_nothing, unknown_user.user_exists) == (True, False)


async def test_a_rehearsal_tells_the_same_and_changes_nothing(database: Database, tables: PostgresTables) -> None:
    """It is the very deletion, taken back."""
    user = await enrolled(database, tables)
    await matched(PostgresLedger(database), tables, user)
    before = everything(tables)
    tried = await erase(database, user, dry_run=True)
    assert everything(tables) == before
    assert await erase(database, user) == tried


async def test_a_face_that_is_anothers_or_not_facematchs_stays(database: Database, tables: PostgresTables) -> None:
    """It is told of; a face that a job of the same photo wrote in another place goes, for the photo shows one face."""
    ledger, user, other = PostgresLedger(database), await enrolled(database, tables), await enrolled(database, tables)
    photo = tables.add_photo(uuid4())
    await ledger.conclude_face(header(photo, face_index=1), unknown())
    await matched(ledger, tables, other, photo)
    tables.run("DELETE FROM {face_matches}")
    shared = (await matched(ledger, tables, user, photo)).face.photo_face_id
    tables.add_match(shared, other)
    own = add_own_face(tables, photo, index=2)
    forgotten = await erase(database, user)
    assert forgotten.faces == 1
    assert set(forgotten.faces_left) == {StoredFace(shared, photo), StoredFace(own, photo)}
    assert [match.user_id for match in tables.matches()] == [other]
    assert tables.run("SELECT user_id FROM facematch.outcomes") == [(other,)]


async def test_where_the_ledger_was_pruned_their_face_goes_all_the_same(
    database: Database, tables: PostgresTables
) -> None:
    """A face with a model is facematch's; one that the application matched on its own, without a model, is not."""
    user, photo = await enrolled(database, tables), tables.add_photo(uuid4())
    await matched(PostgresLedger(database), tables, user, photo)
    own = add_own_face(tables, photo, index=1)
    tables.add_match(own, user)
    tables.run("DELETE FROM facematch.outcomes")
    forgotten = await erase(database, user)
    assert (forgotten.faces, len(forgotten.matches), forgotten.faces_left) == (1, 2, (StoredFace(own, photo),))


async def test_a_user_whose_row_is_gone_is_found_by_the_ledger(database: Database, tables: PostgresTables) -> None:
    """Their matches went with them; the faces that these were of did not."""
    user = await enrolled(database, tables)
    face = (await matched(PostgresLedger(database), tables, user)).face
    [photo] = [stored.photo_id for stored in tables.faces() if stored.id == face.photo_face_id]
    tables.delete_user(user)
    forgotten = await erase(database, user)
    told = forgotten.user_exists, forgotten.faces, forgotten.outcomes, forgotten.enrolments
    assert told == (False, 1, 1, 1)
    assert (forgotten.photos, forgotten.photos_of_ledger) == ((), (photo,))
    assert tables.faces() == []


async def test_faces_without_a_match_are_found_and_go_where_their_photo_is_named(
    database: Database, tables: PostgresTables
) -> None:
    """The nearest first; not those of another model, of another dimension, of no direction, or with a match."""
    user = await enrolled(database, tables)
    await matched(PostgresLedger(database), tables, user)
    near, far, *_, (_, directionless) = [
        (photo := tables.add_photo(uuid4()), tables.add_face(photo, face))
        for face in (
            embedding(1.0, 0.5),
            embedding(0.5, 1.0),
            embedding(1.0, model="other@1"),
            FaceEmbedding(MODEL, (1.0, 0.0, 0.0)),
            embedding(0.0, 1.0),
        )
    ]
    tables.run("UPDATE {photo_faces} SET embedding = '[0,0,0,0]' WHERE id = %s", directionless)
    found = await erase(database, user, nearest=9, dry_run=True)
    assert [(face.photo_id, face.photo_face_id) for face in found.nearest] == [near, far]
    assert found.nearest[0].distance == pytest.approx(1 - 1 / 1.25**0.5)
    assert [face.photo_id for face in (await erase(database, user, nearest=1, dry_run=True)).nearest] == [near[0]]
    forgotten = await erase(database, user, photos=[near[0]], nearest=9)
    assert (forgotten.faces, near[0] in forgotten.photos) == (2, True)
    assert [face.photo_id for face in forgotten.nearest] == [far[0]]
    assert tables.run("SELECT FROM {photo_faces} WHERE id = %s", near[1]) == []
    assert (await erase(database, user, photos=[far[0]])).faces == 1


async def test_a_match_that_is_not_committed_yet_is_not_missed(
    database: Database, prepared: PreparedDatabase, tables: PostgresTables
) -> None:
    """It is waited for, and goes with all the rest."""
    user, photo = await enrolled(database, tables), tables.add_photo(uuid4())
    face = tables.add_face(photo, embedding(1.0))
    forgotten = await waiting_for(prepared.owner_url, _MATCH, [face, user], work=erase(database, user))
    assert (len(forgotten.matches), forgotten.faces, forgotten.photos) == (1, 1, (photo,))
    assert (tables.matches(), tables.faces()) == ([], [])


async def test_a_worker_that_has_written_the_face_can_name_the_user(
    database: Database, prepared: PreparedDatabase, tables: PostgresTables
) -> None:
    """Neither waits for the other for ever: locks are taken in the order in which workers take them."""
    user, photo = await enrolled(database, tables), tables.add_photo(uuid4())
    face = tables.add_face(photo, embedding(1.0))
    forgotten = await waiting_for(
        prepared.owner_url,
        "UPDATE photo_faces SET bbox = NULL WHERE id = %s",
        [face],
        work=erase(database, user, photos=[photo]),
        then=(_MATCH, [face, user]),
    )
    assert (len(forgotten.matches), forgotten.faces) == (1, 1)
    assert (tables.matches(), tables.faces()) == ([], [])


async def test_a_face_that_another_user_is_being_matched_to_stays(
    database: Database, prepared: PreparedDatabase, tables: PostgresTables
) -> None:
    """It is not deleted under their match, which would go with it."""
    user, other = await enrolled(database, tables), tables.add_user(uuid4())
    photo = tables.add_photo(uuid4())
    face = tables.add_face(photo, embedding(1.0))
    forgotten = await waiting_for(
        prepared.owner_url,
        "UPDATE photo_faces SET bbox = NULL WHERE id = %s",
        [face],
        work=erase(database, user, photos=[photo]),
        then=(_MATCH, [face, other]),
    )
    assert forgotten.faces_left == (StoredFace(face, photo),)
    assert [match.user_id for match in tables.matches()] == [other]


async def test_a_job_in_the_middle_of_its_transaction_names_them_no_more(
    database: Database, prepared: PreparedDatabase, tables: PostgresTables
) -> None:
    """It has found them, and writes neither face nor match when they are forgotten meanwhile."""
    user, photo = await enrolled(database, tables), tables.add_photo(uuid4())

    async def forget() -> None:
        async with opened(prepared.url) as other:
            assert (await erase(other, user)).template

    job, ledger = header(photo), PostgresLedger(database, new_id=ids(None, lambda: meanwhile(forget)))
    with pytest.raises(CandidateGoneError):
        await ledger.conclude_face(job, accepted(user))
    assert (tables.faces(), tables.matches(), await recorded(ledger, job.key)) == ([], [], None)


async def test_a_template_that_is_being_switched_goes_too(
    database: Database, prepared: PreparedDatabase, tables: PostgresTables
) -> None:
    """What takes the place of the old one is waited for."""
    user = await enrolled(database, tables)
    forgotten = await waiting_for(
        prepared.owner_url,
        "UPDATE users SET face_embedding = '[0,1,0,0]', face_embedding_model = 'new@1' WHERE id = %s",
        [user],
        work=erase(database, user),
    )
    assert forgotten.template
    assert tables.run("SELECT face_embedding, face_embedding_model FROM {users}") == [(None, None)]


async def test_where_there_is_an_index_their_row_goes_in_the_same_transaction(
    database: Database, prepared: PreparedDatabase, tables: PostgresTables
) -> None:
    """A trigger sees to it."""
    user = await enrolled(database, tables)
    await make_index(prepared.owner_url, MODEL, dimension=4)
    assert tables.run("SELECT user_id FROM facematch.gallery") == [(user,)]
    await erase(database, user)
    assert tables.run("SELECT user_id FROM facematch.gallery") == []


@pytest.mark.parametrize("is_gone", [False, True])
async def test_a_template_that_only_the_index_still_has_goes(
    database: Database, prepared: PreparedDatabase, tables: PostgresTables, *, is_gone: bool
) -> None:
    """As after a restore or an import with triggers off: neither the user's row nor the template tells of it."""
    user, other = await enrolled(database, tables), await enrolled(database, tables)
    await make_index(prepared.owner_url, MODEL, dimension=4)
    tables.run("SET session_replication_role = replica")
    if is_gone:
        tables.delete_user(user)
    else:
        tables.write_embedding(user, None, None)
    forgotten = await erase(database, user)
    assert (forgotten.template, forgotten.index_rows, forgotten.is_nothing) == (False, 1, False)
    assert tables.run("SELECT user_id FROM facematch.gallery") == [(other,)]
    assert (await erase(database, user)).is_nothing


@pytest.mark.parametrize(
    ("trigger", "on", "told"),
    [
        ("RETURN NULL", "DELETE ON photo_faces", r"rows of public\.photo_faces stay"),
        ("RETURN NULL", "DELETE ON face_matches", r"rows of public\.face_matches stay"),
        ("RETURN OLD", "UPDATE ON users", r"rows of public\.users stay"),
        ("RETURN NULL", "DELETE ON facematch.gallery", r"rows of facematch\.gallery stay"),
        ("RAISE check_violation", "DELETE ON photo_faces", "refused: check_violation"),
    ],
)
async def test_where_the_application_keeps_something_nothing_is_deleted(
    trigger: str, on: str, told: str, database: Database, prepared: PreparedDatabase, tables: PostgresTables
) -> None:
    """A trigger may swallow the deletion, such as one that only marks rows, or refuse it."""
    user = await enrolled(database, tables)
    await make_index(prepared.owner_url, MODEL, dimension=4)
    await matched(PostgresLedger(database), tables, user)
    before = everything(tables)
    tables.run(f"CREATE FUNCTION keep() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN {trigger}; END'")
    try:
        tables.run(f"CREATE TRIGGER keep BEFORE {on} FOR EACH ROW EXECUTE FUNCTION keep()")
        with pytest.raises(DatabaseRefusedError, match=told):
            await erase(database, user)
    finally:
        tables.run("DROP FUNCTION keep CASCADE")
    assert everything(tables) == before


@pytest.mark.timeout(30)
async def test_a_row_that_somebody_keeps_locked_is_not_waited_for_for_ever(
    database: Database, prepared: PreparedDatabase, tables: PostgresTables
) -> None:
    """Whoever needs what is locked already would wait as long; it is told what is locked, and nothing is deleted."""
    user = await enrolled(database, tables)
    before = everything(tables)
    with psycopg.connect(prepared.owner_url) as application:
        application.execute("SELECT FROM users WHERE id = %s FOR UPDATE", [user])
        with pytest.raises(DatabaseLockedError, match="a row of users stays locked by another transaction"):
            await erase(database, user, lock_timeout_seconds=0.1)
    assert everything(tables) == before
    assert (await erase(database, user)).template


async def test_settings_of_the_role_do_not_matter(prepared: PreparedDatabase, tables: PostgresTables) -> None:
    """The ledger is read from end to end, however long that takes; and what is told as deleted is on the disk."""
    user = tables.add_user(uuid4(), embedding(1.0))
    tables.run(
        "CREATE FUNCTION look() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN PERFORM pg_sleep(0.1); "
        "IF current_setting('synchronous_commit') = 'off' THEN RAISE check_violation; END IF; RETURN NEW; END$$"
    )
    try:
        tables.run("CREATE TRIGGER look BEFORE UPDATE ON {users} FOR EACH ROW EXECUTE FUNCTION look()")
        options = "-cstatement_timeout%3D50%20-csynchronous_commit%3Doff"
        async with opened(f"{prepared.url}?options={options}") as database:
            assert (await erase(database, user)).template
    finally:
        tables.run("DROP FUNCTION look CASCADE")


async def test_the_statements_that_are_told_let_a_role_forget_users(
    postgres_server: PostgresServer,
) -> None:
    """A worker may not, and is told which rights it lacks; with these, on an application's tables, a role may."""
    place = await asyncio.to_thread(of_an_application, postgres_server)
    with place.tables() as tables:
        user, photo = tables.add_user(uuid4(), embedding(1.0)), tables.add_photo(uuid4())
        async with opened(place.url) as database:
            await matched(PostgresLedger(database), tables, user, photo)
            with pytest.raises(DatabaseForbiddenError, match="connect as the tables' owner, or let it run: GRANT"):
                await erase(database, user)
        role = new_role(postgres_server, "eraser")
        url = url_of(postgres_server, place.owner_url.rpartition("/")[2], role)
        eraser = Database(url)
        await eraser.open()
        try:
            with pytest.raises(DatabaseForbiddenError) as refused:
                await erase(eraser, user)
            for statement in str(refused.value).partition("let it run: ")[2].rstrip(";").split("; "):
                tables.run(statement.replace("%", "%%"))
            forgotten = await erase(eraser, user, photos=[photo], nearest=1)
        finally:
            await eraser.close()
        assert (forgotten.faces, len(forgotten.matches), forgotten.outcomes) == (1, 1, 1)
