"""What an application's own triggers see of the rows that a job writes."""

from uuid import uuid4

from adapters.postgres.database import Database
from adapters.postgres.ledger import PostgresLedger
from tests.contract.ledger.jobs import accepted, embedding, header
from tests.tables import PostgresTables

TRIGGER = """
CREATE FUNCTION look_for_the_face() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF NOT EXISTS (SELECT FROM {photo_faces} WHERE id = NEW.photo_face_id) THEN
    RAISE EXCEPTION 'a match without its face';
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER look_for_the_face BEFORE INSERT ON {face_matches}
   FOR EACH ROW EXECUTE FUNCTION look_for_the_face();
"""


async def test_a_trigger_on_matches_finds_the_face(database: Database, tables: PostgresTables) -> None:
    """Even before the match is inserted, as one that copies the photo's id into it needs to."""
    tables.run(TRIGGER)
    photo, user = tables.add_photo(uuid4()), tables.add_user(uuid4(), embedding(1.0))
    told = await PostgresLedger(database).conclude_face(header(photo), accepted(user))
    assert (told.outcome.kind, len(tables.matches())) == ("matched", 1)
