"""The SQL of an index's parts: partition, trigger, codebook; and what of ``users`` belongs into it."""

from collections.abc import Iterator
from typing import LiteralString

import attrs
from psycopg import sql

from adapters.postgres.search_index.standing import IndexNames
from adapters.postgres.tables.catalogue import OWN_SCHEMA
from adapters.postgres.tables.schema import Schema

MOST_DIMENSIONS = 4_000
"""Of a vector of half precision in one page of a table."""
_FITS = """
{row}.face_embedding_model = {model} AND {dimensions}({row}.face_embedding) = {dimension}
  AND {norm}({row}.face_embedding) > 0::double precision
"""
_PARTITION = "CREATE TABLE {partition} PARTITION OF {gallery} (PRIMARY KEY (user_id)) FOR VALUES IN ({model})"
# What the application writes must never fail for the index's sake: where the columns have been taken away or renamed,
# no worker can search either. Who is deleted is taken out all the same, as long as there is an id. Records are compared
# by their bytes, which needs no operator from anybody's search path. Nothing is written within the block that catches
# errors, for that would take a subtransaction's number for each row.
_KEEP = """
DECLARE
    who uuid;
    changed boolean := true;
    fits boolean := false;
BEGIN
    IF TG_OP = 'TRUNCATE' THEN
        DELETE FROM {partition};
        RETURN NULL;
    END IF;
    BEGIN
        IF TG_OP = 'INSERT' THEN
            who := NEW.id;
        ELSE
            who := OLD.id;
        END IF;
        IF TG_OP = 'UPDATE' THEN
            changed := NOT ROW(OLD.id, OLD.face_embedding, OLD.face_embedding_model)::record
                *= ROW(NEW.id, NEW.face_embedding, NEW.face_embedding_model)::record;
        END IF;
        IF TG_OP <> 'DELETE' THEN
            fits := coalesce({fits}, false);
        END IF;
    EXCEPTION WHEN undefined_column OR undefined_function THEN
        RAISE WARNING 'users is not what it was: facematch index cannot follow it';
        RETURN NULL;
    END;
    IF changed AND TG_OP <> 'INSERT' THEN
        DELETE FROM {partition} WHERE user_id = who;
    END IF;
    IF changed AND fits THEN
        INSERT INTO {partition} (model, user_id, embedding) VALUES ({model}, NEW.id, {unit})
        ON CONFLICT (user_id) DO UPDATE SET embedding = excluded.embedding, changed = excluded.changed;
    END IF;
    RETURN NULL;
END
"""
_FUNCTION = """
CREATE OR REPLACE FUNCTION {function}() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp AS {body}
"""
_TRIGGER = """
CREATE OR REPLACE TRIGGER {trigger} AFTER INSERT OR UPDATE OR DELETE ON {users}
FOR EACH ROW EXECUTE FUNCTION {function}()
"""
_TRUNCATE_TRIGGER = """
CREATE OR REPLACE TRIGGER {truncate_trigger} AFTER TRUNCATE ON {users}
FOR EACH STATEMENT EXECUTE FUNCTION {function}()
"""
_EXAMPLES = """
SELECT pg_catalog.string_agg({extension}.halfvec_send(embedding), '')
  FROM {partition} TABLESAMPLE BERNOULLI ({percent}) REPEATABLE ({seed})
"""
_BLOCKS = """
SELECT pg_catalog.string_agg({extension}.halfvec_send(embedding), '')
  FROM {partition} WHERE ctid >= {first}::tid AND ctid < {end}::tid
"""


@attrs.frozen
class IndexParts:
    """The parts for one model with vectors of one dimension."""

    schema: Schema
    model: str
    dimension: int

    @property
    def names(self) -> IndexNames:
        """What the parts are called."""
        return IndexNames.of(self.model)

    @property
    def partition(self) -> sql.Identifier:
        """The table."""
        return sql.Identifier(OWN_SCHEMA, self.names.partition)

    def fits(self, row: str) -> sql.Composed:
        """Return the SQL that is true for a row of ``users`` that belongs into the index."""
        return self.compose(_FITS, row=sql.Identifier(row))

    def unit(self, row: str) -> sql.Composed:
        """Return the SQL of such a row's vector, brought to length 1 so that half precision is enough for any."""
        return self.compose("{normalise}({row}.face_embedding)::{half}", row=sql.Identifier(row))

    def making_partition(self) -> Iterator[sql.Composed]:
        """Yield the statements that make the empty table, with the model's name on it."""
        yield self.compose(_PARTITION)
        yield self.compose("ALTER TABLE {partition} ALTER COLUMN embedding SET STATISTICS 0")
        yield self.compose("COMMENT ON TABLE {partition} IS {model}")

    def making_function(self) -> Iterator[sql.Composed]:
        """Yield the statements that make what the triggers call, with its owner's rights, for nobody else to use."""
        body = self.compose(_KEEP, fits=self.fits("new"), unit=self.unit("new"))
        yield self.compose(_FUNCTION, body=sql.Literal(body.as_string()))
        yield self.compose("REVOKE ALL ON FUNCTION {function}() FROM PUBLIC")

    def making_triggers(self) -> Iterator[sql.Composed]:
        """Yield the statements that let ``users`` be followed."""
        yield self.compose(_TRIGGER)
        yield self.compose(_TRUNCATE_TRIGGER)

    def taking_examples(self, count: int, users: int, *, seed: int) -> sql.Composed:
        """Return the query for about ``count`` of the vectors of so many users, others for each seed."""
        percent = min(100.0, 100.0 * count / max(users, 1))
        return self.compose(_EXAMPLES, percent=sql.Literal(percent), seed=sql.Literal(seed))

    def reading_blocks(self, first: int, end: int) -> sql.Composed:
        """Return the query for the vectors in a range of the table's blocks, as they lie there."""
        return self.compose(_BLOCKS, first=sql.Literal(f"({first},0)"), end=sql.Literal(f"({end},0)"))

    def compose(self, template: LiteralString, **more: sql.Composable) -> sql.Composed:
        """Return a statement about the parts, with more to fill in; it may have no parameters, but the model a %."""
        extension = self.schema.vector_schema
        return sql.SQL(template).format(
            users=self.schema.users.identifier,
            gallery=sql.Identifier(OWN_SCHEMA, "gallery"),
            partition=self.partition,
            function=sql.Identifier(OWN_SCHEMA, self.names.function),
            trigger=sql.Identifier(self.names.trigger),
            truncate_trigger=sql.Identifier(self.names.truncate_trigger),
            model=sql.Literal(self.model),
            dimension=sql.Literal(self.dimension),
            extension=sql.Identifier(extension),
            dimensions=sql.Identifier(extension, "vector_dims"),
            norm=sql.Identifier(extension, "vector_norm"),
            normalise=sql.Identifier(extension, "l2_normalize"),
            half=self.schema.half_precision(self.dimension),
            **more,
        )
