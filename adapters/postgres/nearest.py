"""The two searches for the nearest users, as SQL: with everybody, or with whom the index proposes."""

from psycopg import sql
from psycopg.abc import AdaptContext

from adapters.postgres.catalogue import OWN_SCHEMA
from adapters.postgres.schema import Schema

PROPOSED = 16
"""So many users the index proposes; seeing half precision, it may have those who are next to each other in disorder."""
_EF_SEARCH = 100
"""How many of the nearest the walk through the graph keeps in view: ``ef`` in Malkov and Yashunin, arXiv:1603.09320."""
_EXACT = """
SELECT u.id, u.face_embedding, {distance} AS distance FROM {users} u
 WHERE {fits} ORDER BY distance, id LIMIT %(limit)s
"""
# The subquery of the probe is evaluated before the index is asked, and its settings end with the statement: one trip to
# the server, and no session that a pooler lends to others is changed. Literals, because a generic plan must not differ.
_PROPOSED = """
SELECT u.* FROM {gallery} g
 CROSS JOIN LATERAL (
   SELECT u.id, u.face_embedding, {distance} AS distance FROM {users} u WHERE u.id = g.user_id AND {fits} OFFSET 0) u
 WHERE g.model = {model}
 ORDER BY g.embedding::{half} OPERATOR({extension}.<=>) (
   SELECT CASE WHEN set_config('hnsw.ef_search', {ef_search}, true) <> ''
                AND set_config('hnsw.iterative_scan', 'strict_order', true) <> ''
               THEN %(probe)s::{vector}::{half} END)
 LIMIT {proposed}
"""
_NEAREST = """
SELECT n.id, n.distance, t.photographs
  FROM (SELECT * FROM ({found}) f ORDER BY distance, id LIMIT %(limit)s) n
  LEFT JOIN facematch.templates t ON t.user_id = n.id AND t.fingerprint = sha256(n.face_embedding::text::bytea)
 ORDER BY n.distance, n.id
"""


def exact(schema: Schema, dimension: int) -> sql.Composed:
    """Return the search among all users of a model; parameters ``probe``, ``model``, ``limit``."""
    return sql.SQL(_NEAREST).format(found=sql.SQL(_EXACT).format(**_parts(schema, dimension)))


def proposed_by_index(schema: Schema, model: str, dimension: int) -> sql.Composed:
    """Return the search among those whom the model's index proposes; parameters as for :func:`exact`.

    Distances are those to ``users``, in full precision, and who is named is decided there: what the index says of
    anybody only chooses whom to look at.
    """
    found = sql.SQL(_PROPOSED).format(
        **_parts(schema, dimension),
        gallery=sql.Identifier(OWN_SCHEMA, "gallery"),
        model=_LiteralBesideParameters(model),
        half=schema.half_precision(dimension),
        extension=sql.Identifier(schema.vector_schema),
        ef_search=sql.Literal(str(_EF_SEARCH)),
        proposed=sql.Literal(PROPOSED),
    )
    return sql.SQL(_NEAREST).format(found=found)


class _LiteralBesideParameters(sql.Literal):
    """A literal whose percent signs are not taken for placeholders."""

    def as_bytes(self, context: AdaptContext | None = None) -> bytes:
        return super().as_bytes(context).replace(b"%", b"%%")


def _parts(schema: Schema, dimension: int) -> dict[str, sql.Composable]:
    return {
        "users": schema.users.identifier,
        "fits": sql.SQL("u.face_embedding_model = %(model)s AND u.face_embedding IS NOT NULL AND {}").format(
            schema.candidate_condition("u")
        ),
        "distance": _distance(schema, dimension),
        "vector": schema.vector(dimension),
    }


def _distance(schema: Schema, dimension: int) -> sql.Composed:
    """Return the SQL of the cosine distance to ``probe``: NULL for a vector of another dimension.

    Where the column's type does not rule such vectors out, a CASE keeps them away from the operator, which refuses
    them; it costs a second look at each vector.
    """
    parts = {
        "cosine": sql.SQL("OPERATOR({}.<=>)").format(sql.Identifier(schema.vector_schema)),
        "dimensions": sql.Identifier(schema.vector_schema, "vector_dims"),
        "vector": schema.vector(dimension),
        "dimension": sql.Literal(dimension),
    }
    if schema.users.columns["face_embedding"].modifier == dimension:
        return sql.SQL("u.face_embedding {cosine} %(probe)s::{vector}").format(**parts)
    return sql.SQL(
        "CASE WHEN {dimensions}(u.face_embedding) = {dimension} "
        "THEN u.face_embedding::{vector} {cosine} %(probe)s::{vector} END"
    ).format(**parts)
