"""What the service's roles must be allowed to do: the least, column by column."""

from collections.abc import Collection, Mapping, Sequence
from typing import Final, Literal

import attrs
from psycopg import AsyncConnection, sql
from psycopg.rows import TupleRow

from adapters.postgres.tables.catalogue import EXPECTED, OWN_SCHEMA, Table

_MISSING = """
SELECT r.number
  FROM unnest(%(numbers)s::int[], %(schemas)s::text[], %(names)s::text[], %(columns)s::text[], %(privileges)s::text[])
       AS r(number, schema, name, col, privilege),
       LATERAL (SELECT c.oid FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
                 WHERE n.nspname = r.schema AND c.relname = r.name OFFSET 0) AS t
 WHERE NOT CASE r.privilege WHEN 'DELETE' THEN pg_catalog.has_table_privilege(%(role)s, t.oid, r.privilege)
           WHEN 'USAGE' THEN pg_catalog.has_sequence_privilege(%(role)s, t.oid, 'USAGE, UPDATE')
           ELSE pg_catalog.has_column_privilege(%(role)s, t.oid, r.col, r.privilege) END
"""  # OFFSET 0: no other table of that name may be asked for a column that it does not have
_PARAMETERS = ("numbers", "schemas", "names", "columns", "privileges")
_CLOSED_SCHEMAS = """
SELECT n.nspname FROM pg_catalog.pg_namespace n
 WHERE n.nspname = ANY (%s) AND NOT pg_catalog.has_schema_privilege(%s, n.oid, 'USAGE') ORDER BY 1
"""
Privilege = Literal["SELECT", "INSERT", "UPDATE", "DELETE", "USAGE"]
_WRITING: Final[tuple[Privilege, ...]] = ("SELECT", "INSERT", "UPDATE")
_DELETING: Final[tuple[Privilege, ...]] = ("SELECT", "DELETE")
_OUTCOME_COLUMNS = ("stream_seq", "published_at")
_ATTEMPT_COLUMNS = ("stream_seq",)


@attrs.frozen
class Right:
    """A privilege on a table; on ``columns`` only, or on the whole where it is the service's own (``whole``).

    USAGE is one on a sequence, as a whole.
    """

    privilege: Privilege
    schema: str
    table: str
    columns: tuple[str, ...]
    whole: bool = False

    def grant(self, role: str) -> str:
        """Return the statement that gives it."""
        columns = sql.SQL("") if self.whole else sql.SQL(" ({})").format(_names(self.columns))
        return (
            sql.SQL("GRANT {privilege}{columns} ON {kind}{table} TO {role}")
            .format(
                privilege=sql.SQL(self.privilege),
                columns=columns,
                kind=sql.SQL("SEQUENCE " if self.privilege == "USAGE" else ""),
                table=sql.Identifier(self.schema, self.table),
                role=sql.Identifier(role),
            )
            .as_string()
        )


def worker_rights(tables: Mapping[str, Table]) -> list[Right]:
    """Return what a worker needs; the referenced tables' owners check foreign keys, so that no more is needed."""
    marks = [column for column in ("deleted_at", "blocked") if column in tables["users"].columns]
    face, match = tuple(EXPECTED["photo_faces"]), tuple(EXPECTED["face_matches"])

    def of(table: str, privilege: Privilege, columns: Sequence[str]) -> Right:
        return Right(privilege, tables[table].schema, table, tuple(columns))

    return [
        of("photos", "SELECT", ["id"]),
        of("users", "SELECT", ["id", "face_embedding", "face_embedding_model", *marks]),
        of("photo_faces", "SELECT", ["id", "photo_id", "face_index"]),
        of("photo_faces", "INSERT", face),
        of("photo_faces", "UPDATE", ["embedding", "embedding_model", "bbox"]),
        of("face_matches", "SELECT", ["photo_face_id"]),
        of("face_matches", "INSERT", match),
        *(
            Right("USAGE", schema, sequence, ("last_value",), whole=True)
            for table, written in (("photo_faces", face), ("face_matches", match))
            for name, column in tables[table].columns.items()
            if name not in written
            for schema, sequence in column.sequences
        ),
        Right("SELECT", OWN_SCHEMA, "outcomes", _OUTCOME_COLUMNS, whole=True),
        Right("INSERT", OWN_SCHEMA, "outcomes", _OUTCOME_COLUMNS, whole=True),
        Right("UPDATE", OWN_SCHEMA, "outcomes", ("published_at",)),
        Right("SELECT", OWN_SCHEMA, "attempts", _ATTEMPT_COLUMNS, whole=True),
        Right("INSERT", OWN_SCHEMA, "attempts", _ATTEMPT_COLUMNS, whole=True),
        Right("SELECT", OWN_SCHEMA, "templates", ("user_id",), whole=True),
        Right("SELECT", OWN_SCHEMA, "gallery", ("user_id",), whole=True),
        Right("SELECT", OWN_SCHEMA, "codebooks", ("model",), whole=True),
        Right("SELECT", OWN_SCHEMA, "prepared_templates", ("model", "user_id")),
        Right("SELECT", OWN_SCHEMA, "active_model", ("model",), whole=True),
        Right("SELECT", OWN_SCHEMA, "schema_migrations", ("name",), whole=True),
    ]


def enrolment_rights(tables: Mapping[str, Table]) -> list[Right]:
    """Return what `facematch enroll` and `reenroll` need: they alone change templates, so that a worker cannot."""
    users = tables["users"].schema
    marks = [column for column in ("deleted_at",) if column in tables["users"].columns]
    return [
        Right("SELECT", users, "users", ("id", "face_embedding", "face_embedding_model", *marks)),
        Right("UPDATE", users, "users", ("face_embedding", "face_embedding_model")),
        *(Right(privilege, OWN_SCHEMA, "templates", ("user_id",), whole=True) for privilege in _WRITING),
        *(
            Right(privilege, OWN_SCHEMA, "prepared_templates", ("user_id",), whole=True)
            for privilege in (*_WRITING, "DELETE")
        ),
        *(Right(privilege, OWN_SCHEMA, "active_model", ("model",), whole=True) for privilege in _WRITING),
    ]


def erasure_rights(tables: Mapping[str, Table]) -> list[Right]:
    """Return what `facematch forget` needs: it alone deletes rows of the application's and of the ledger's."""
    users, faces, matches = (tables[name].schema for name in ("users", "photo_faces", "face_matches"))
    template = "face_embedding", "face_embedding_model"
    return [
        Right("SELECT", users, "users", ("id", *template)),
        Right("UPDATE", users, "users", template),
        Right("SELECT", faces, "photo_faces", ("id", "photo_id", "embedding", "embedding_model")),
        Right("UPDATE", faces, "photo_faces", ("embedding",)),  # to lock them
        Right("DELETE", faces, "photo_faces", ("id",), whole=True),
        Right("SELECT", matches, "face_matches", ("id", "photo_face_id", "user_id")),
        Right("DELETE", matches, "face_matches", ("id",), whole=True),
        *(
            Right(privilege, OWN_SCHEMA, table, (column,), whole=True)
            for table, column in (
                ("outcomes", "user_id"),
                ("attempts", "photo_id"),
                ("templates", "user_id"),
                ("gallery", "user_id"),
                ("prepared_templates", "user_id"),
            )
            for privilege in _DELETING
        ),
    ]


def reading_rights(tables: Mapping[str, Table]) -> list[Right]:
    """Return what `facematch show` and `status` need."""
    marks = [column for column in ("deleted_at", "blocked") if column in tables["users"].columns]
    users, faces = tables["users"].schema, tables["photo_faces"].schema
    return [
        *(
            Right("SELECT", OWN_SCHEMA, table, (column,), whole=True)
            for table, column in (("outcomes", "photo_id"), ("attempts", "photo_id"), ("active_model", "model"))
        ),
        Right("SELECT", OWN_SCHEMA, "templates", ("user_id", "photographs", "fingerprint")),
        Right("SELECT", faces, "photo_faces", ("id", "embedding", "embedding_model")),
        Right("SELECT", users, "users", ("id", "face_embedding", "face_embedding_model", *marks)),
    ]


def worker_grants(tables: Mapping[str, Table], role: str, vector_schema: str) -> list[str]:
    """Return the statements that let a role be worker, and no more."""
    return _grants(worker_rights(tables), role, {*(table.schema for table in tables.values()), vector_schema})


def enrolment_grants(tables: Mapping[str, Table], role: str, vector_schema: str) -> list[str]:
    """Return the statements that let a role enrol users, and no more."""
    return _grants(enrolment_rights(tables), role, {tables["users"].schema, vector_schema})


async def current_role(connection: AsyncConnection[TupleRow]) -> str:
    """Return the name of the connection's role."""
    row = await (await connection.execute("SELECT current_user")).fetchone()
    return row[0] if row is not None else ""


async def missing_grants(
    connection: AsyncConnection[TupleRow], tables: Mapping[str, Table], vector_schema: str, role: str
) -> list[str]:
    """Return the statements that give a role what it lacks to be a worker."""
    schemas = {table.schema for table in tables.values()} | {vector_schema}
    return await _missing(connection, worker_rights(tables), schemas, role)


async def missing_enrolment_grants(
    connection: AsyncConnection[TupleRow], tables: Mapping[str, Table], vector_schema: str, role: str
) -> list[str]:
    """Return the statements that give a role what it lacks to enrol users."""
    return await _missing(connection, enrolment_rights(tables), {tables["users"].schema, vector_schema}, role)


async def missing_erasure_grants(
    connection: AsyncConnection[TupleRow], tables: Mapping[str, Table], vector_schema: str, role: str
) -> list[str]:
    """Return the statements that give a role what it lacks to forget users."""
    rights = erasure_rights(tables)
    return await _missing(connection, rights, {vector_schema, *(right.schema for right in rights)}, role)


async def missing_reading_grants(
    connection: AsyncConnection[TupleRow], tables: Mapping[str, Table], vector_schema: str, role: str
) -> list[str]:
    """Return the statements that give a role what it lacks to ask what became of jobs."""
    rights = reading_rights(tables)
    return await _missing(connection, rights, {vector_schema, *(right.schema for right in rights)}, role)


async def _missing(
    connection: AsyncConnection[TupleRow], rights: Sequence[Right], schemas: set[str], role: str
) -> list[str]:
    closed = await (await connection.execute(_CLOSED_SCHEMAS, [sorted(schemas | {OWN_SCHEMA}), role])).fetchall()
    numbered = [
        (number, right.schema, right.table, column, right.privilege)
        for number, right in enumerate(rights)
        for column in right.columns
    ]
    values = dict(zip(_PARAMETERS, map(list, zip(*numbered, strict=True)), strict=True))
    cursor = await connection.execute(_MISSING, {**values, "role": role})
    lacking = {row[0] for row in await cursor.fetchall()}
    return [
        *(_open_schema(row[0], role) for row in closed),
        *(right.grant(role) for number, right in enumerate(rights) if number in lacking),
    ]


def _grants(rights: Sequence[Right], role: str, schemas: set[str]) -> list[str]:
    opened = [_open_schema(schema, role) for schema in sorted(schemas | {OWN_SCHEMA})]
    return [*opened, *(right.grant(role) for right in rights)]


def _open_schema(schema: str, role: str) -> str:
    return sql.SQL("GRANT USAGE ON SCHEMA {} TO {}").format(sql.Identifier(schema), sql.Identifier(role)).as_string()


def _names(columns: Collection[str]) -> sql.Composed:
    return sql.SQL(", ").join(map(sql.Identifier, columns))
