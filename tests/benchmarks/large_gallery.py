"""Galleries of as many users as wanted, and a PostgreSQL with memory for them."""

import hashlib
from uuid import UUID

import psycopg
from pgvector.psycopg import register_vector
from psycopg import sql

from infra.local_stack.postgres import PostgresServer
from tests.benchmarks.synthetic_faces import PEOPLE, photographed_twice

SETTINGS = {"shared_buffers": "4GB", "max_wal_size": "16GB"}
"""Those of PostgreSQL that are not its defaults: a million users and their index are in its memory."""


def configure(server: PostgresServer) -> None:
    """Give a server that runs these settings, and start it anew."""
    with psycopg.connect(server.url(), autocommit=True) as connection:
        for name, value in SETTINGS.items():
            connection.execute(sql.SQL("ALTER SYSTEM SET {} = {}").format(sql.Identifier(name), sql.Literal(value)))
    server.stop()
    server.start()


def user(number: int) -> UUID:
    """Return the id of the user with that number, counted through all parts."""
    return UUID(bytes=hashlib.sha256(str(number).encode()).digest()[:16])


def parts_of(users: int) -> int:
    """Return how many parts of :data:`PEOPLE` so many users are, rounded up."""
    return -(-users // PEOPLE)


def enrol(url: str, model: str, dimension: int, parts: range) -> None:
    """Enrol everybody of these parts by COPY, each with a first photograph, and leave the server nothing to tidy up."""
    with psycopg.connect(url, autocommit=True) as connection:
        register_vector(connection)
        with (
            connection.cursor() as cursor,
            cursor.copy("COPY users (id, face_embedding, face_embedding_model) FROM STDIN (FORMAT binary)") as copy,
        ):
            copy.set_types(["uuid", "vector", "text"])
            for part in parts:
                for number, vector in enumerate(photographed_twice(dimension, part)[0], part * PEOPLE):
                    copy.write_row((user(number), vector, model))
        connection.execute("VACUUM ANALYZE users")
