"""The searches for the nearest users, as SQL and what it returns: among all, whom codes propose, or all but one."""

import math
from collections.abc import Mapping, Sequence

import attrs
from psycopg import sql
from psycopg.rows import TupleRow

from adapters.postgres.gallery.active_model import IS_ANOTHERS, is_ready
from adapters.postgres.gallery.templates import comparable, fingerprint
from adapters.postgres.search_index.standing import CHANGED_SINCE, SERVER
from adapters.postgres.tables.catalogue import OWN_SCHEMA
from adapters.postgres.tables.schema import Schema
from domain.decision import Candidate

_TOO_MANY = 10_000
SPARE = 4
"""So many users whose templates are not comparable take nobody's place, where these are not left out."""
_EXACT = """
SELECT u.id, u.face_embedding, {distance} AS distance FROM {users} u
 WHERE {fits} ORDER BY distance, id LIMIT {limit} + {spare}
"""
# Nobody is found where the index was dropped a moment ago, the server is another one than the codes are of, or so many
# have changed that comparing with everybody is as quick.
# OFFSET 0: each of them is looked up by its id, whatever a generic plan takes their number for.
_PROPOSED = """
WITH changed AS MATERIALIZED (
    SELECT user_id FROM {gallery} WHERE model = {model} AND {has_changed} LIMIT {too_many})
SELECT u.* FROM (
    SELECT pg_catalog.unnest(%(users)s::uuid[]) AS id
     UNION
    SELECT user_id FROM changed) wanted
 CROSS JOIN LATERAL (
    SELECT u.id, u.face_embedding, {distance} AS distance FROM {users} u WHERE u.id = wanted.id AND {fits} OFFSET 0) u
 WHERE EXISTS (SELECT FROM facematch.codebooks WHERE model = {model})
   AND {server} = %(server)s
   AND (SELECT count(*) FROM changed) < {too_many}
"""
# Whether a template is comparable is asked of those who are found: of all, it takes as long as their distance.
# OFFSET 0: which template it is, is computed once for each of the few who are returned.
_NEAREST = """
SELECT n.id, n.distance, t.photographs, n.template, {count}, {is_ready}
  FROM (VALUES (1)) AS always
  LEFT JOIN (
    SELECT n.id, n.distance, {fingerprint} AS template FROM (
      SELECT f.id, f.face_embedding, CASE WHEN {comparable} THEN f.distance END AS distance FROM ({found}) f
       ORDER BY distance, id LIMIT {limit}) n
    OFFSET 0) n ON true
  LEFT JOIN facematch.templates t ON t.user_id = n.id AND t.fingerprint = n.template
 ORDER BY n.distance, n.id
"""
_STORED_FACE = "(SELECT f.embedding FROM {faces} f WHERE f.id = %(face)s)"
_PROBE = sql.SQL("%(probe)s")
_COUNT = """
SELECT count(*) FROM {users} u
 WHERE u.face_embedding_model = %(model)s AND u.face_embedding IS NOT NULL AND {condition}
"""


@attrs.frozen
class Wanted:
    """What is searched for: a ``limit`` of users of a model, whose vectors have one dimension.

    ``counted`` asks for the number of all who are searched, too, in each row; it is NULL otherwise. ``all_comparable``
    leaves out whose templates are not comparable, however many they are. These are part of the statements' text, so
    that a plan for any probe is a plan for such searches.
    """

    model: str
    dimension: int
    limit: int
    counted: bool = False
    all_comparable: bool = False


def exact(schema: Schema, wanted: Wanted) -> sql.Composed:
    """Return the search among all users of a model for those near a ``probe``.

    Every row repeats whether the gallery is ready for the model; there is at least one row.
    """
    ready = is_ready(schema, sql.SQL("n.id IS NOT NULL"))
    return _exact(_parts(schema, wanted, schema.candidate_condition("u")), ready)


def exact_except(schema: Schema, wanted: Wanted) -> sql.Composed:
    """Return the search among all of a model but one ``user``, those who may not be named included.

    It reads no column but the templates: an enroller has no right to more.
    """
    return _exact(_parts(schema, wanted, sql.SQL("u.id <> %(user)s")), sql.SQL("true"))


def exact_to_stored_face(schema: Schema, wanted: Wanted) -> sql.Composed:
    """Return the search among all users of a model for those near a stored ``face``, whose vector stays where it is.

    Nobody is found where the gallery is not the ``model``'s, or not yet.
    """
    condition = sql.SQL("{} AND NOT {}").format(schema.candidate_condition("u"), sql.SQL(IS_ANOTHERS))
    probe = sql.SQL(_STORED_FACE).format(faces=schema.photo_faces.identifier)
    return _exact(_parts(schema, wanted, condition, probe), sql.SQL("true"))


def proposed(schema: Schema, wanted: Wanted) -> sql.Composed:
    """Return the search for those near a ``probe``, among ``users`` and who has changed since a ``horizon``.

    It finds nobody but on that ``server``.

    Distances are those to ``users``, in full precision, and who is named is decided there: what is proposed only
    chooses whom to look at.
    """
    parts = _parts(schema, wanted, schema.candidate_condition("u"))
    found = sql.SQL(_PROPOSED).format(
        **parts,
        gallery=sql.Identifier(OWN_SCHEMA, "gallery"),
        has_changed=sql.SQL(CHANGED_SINCE).format(horizon=sql.SQL("%(horizon)s")),
        server=sql.SQL(SERVER),
        too_many=sql.Literal(_TOO_MANY),
    )
    return _nearest(found, parts, sql.SQL("NOT") + sql.SQL(IS_ANOTHERS))


def candidates(rows: Sequence[TupleRow]) -> tuple[Candidate, ...]:
    """Return whom a search has found, but for those whose distance is not a number."""
    return tuple(
        Candidate(user, distance, photographs, template)
        for user, distance, photographs, template, *_ in rows
        if distance is not None and not math.isnan(distance)
    )


def counting(schema: Schema, condition: sql.Composable) -> sql.Composed:
    """Return the count of a ``model``'s users under a condition."""
    return sql.SQL(_COUNT).format(users=schema.users.identifier, condition=condition)


def number(row: TupleRow | None) -> int:
    """Return what was counted."""
    return int(row[0]) if row else 0


def _exact(parts: Mapping[str, sql.Composable], ready: sql.Composable) -> sql.Composed:
    return _nearest(sql.SQL(_EXACT).format(**parts), parts, ready)


def _nearest(found: sql.Composable, parts: Mapping[str, sql.Composable], ready: sql.Composable) -> sql.Composed:
    return sql.SQL(_NEAREST).format(**parts, found=found, is_ready=ready, fingerprint=fingerprint("n"))


def _parts(
    schema: Schema, wanted: Wanted, condition: sql.Composable, probe: sql.Composable = _PROBE
) -> dict[str, sql.Composable]:
    users, model = schema.users.identifier, sql.Literal(wanted.model)
    fits = sql.SQL("u.face_embedding_model = {} AND u.face_embedding IS NOT NULL AND {}").format(model, condition)
    count = sql.SQL("(SELECT count(*) FROM {} u WHERE {})").format(users, fits)
    if wanted.all_comparable:
        fits += sql.SQL(" AND ") + comparable(schema, "u")
    return {
        "users": users,
        "fits": fits,
        "count": count if wanted.counted else sql.NULL,
        "model": model,
        "distance": _distance(schema, wanted.dimension, probe),
        "limit": sql.Literal(wanted.limit),
        "spare": sql.Literal(SPARE),
        "comparable": comparable(schema, "f"),
    }


def _distance(schema: Schema, dimension: int, probe: sql.Composable) -> sql.Composed:
    """Return the SQL of the cosine distance to a probe: NULL for a vector of another dimension.

    No index orders by it: those of pgvector are approximate, and look at who may be named only after they have chosen.
    Where the column's type does not rule such vectors out, a CASE keeps them away from the operator, which refuses
    them; it costs a second look at each vector.
    """
    parts = {
        "probe": probe,
        "cosine": sql.SQL("OPERATOR({}.<=>)").format(sql.Identifier(schema.vector_schema)),
        "dimensions": sql.Identifier(schema.vector_schema, "vector_dims"),
        "vector": schema.vector(dimension),
        "dimension": sql.Literal(dimension),
    }
    if schema.users.columns["face_embedding"].modifier == dimension:
        return sql.SQL("(u.face_embedding {cosine} {probe}::{vector}) + 0::double precision").format(**parts)
    return sql.SQL(
        "CASE WHEN {dimensions}(u.face_embedding) = {dimension} "
        "THEN u.face_embedding::{vector} {cosine} {probe}::{vector} END"
    ).format(**parts)
