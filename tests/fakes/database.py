"""The database's tables in memory: what the ledger, the gallery and the enrolment share."""

import asyncio
from collections.abc import Iterable
from datetime import datetime
from hashlib import sha256
from uuid import UUID, uuid4

import attrs

from application.ports.clock import Clock
from application.ports.ledger import Attempt
from domain.errors import DatabaseUnavailableError
from domain.faces import BoundingBox, FaceEmbedding, InvalidEmbeddingError
from domain.jobs import JobKey
from domain.records import JobRecord
from tests.fakes.clock import ManualClock


def fingerprint(vector: Iterable[float]) -> bytes:
    """Return the SHA-256 of a vector as PostgreSQL writes it, for numbers that it writes in few digits."""
    return sha256(f"[{','.join(f'{number:g}' for number in vector)}]".encode()).digest()


@attrs.define
class UserRow:
    """A row of ``users``; the application may have written anything into ``model`` and ``vector``.

    ``photographs``, ``image_refs`` and ``image_digests`` are what the enrolment knows of that vector; the application
    knows nothing.
    """

    id: UUID
    model: str | None = None
    vector: tuple[float, ...] | None = None
    deleted: bool = False
    blocked: bool = False
    photographs: int | None = None
    image_refs: tuple[str, ...] = ()
    image_digests: tuple[bytes, ...] = ()

    @property
    def template(self) -> FaceEmbedding | None:
        """The embedding; None where there is none, it is of an unknown model, or it cannot be compared."""
        if self.model is None or self.vector is None:
            return None
        try:
            return FaceEmbedding(self.model, self.vector)
        except InvalidEmbeddingError:
            return None

    @property
    def fingerprint(self) -> bytes:
        """What tells this very vector from any other."""
        return fingerprint(self.vector or ())

    def is_candidate_for(self, model: str) -> bool:
        """Tell whether this user is enrolled with that model and may be named."""
        return self.vector is not None and self.model == model and not self.deleted and not self.blocked


@attrs.frozen
class PhotoFaceRow:
    """A row of ``photo_faces``."""

    id: UUID
    photo_id: UUID
    face_index: int
    embedding: FaceEmbedding
    box: BoundingBox


@attrs.frozen
class FaceMatchRow:
    """A row of ``face_matches``."""

    id: UUID
    photo_face_id: UUID
    user_id: UUID
    confidence: float


@attrs.define
class OutcomeRow:
    """A row of ``facematch.outcomes``: a record, and what the outbox knows of its event."""

    record: JobRecord
    recorded_at: float
    published_at: datetime | None = None


@attrs.frozen
class PreparedRow:
    """A row of ``facematch.prepared_templates``."""

    template: FaceEmbedding
    photographs: int
    image_refs: tuple[str, ...]
    image_digests: tuple[bytes, ...]
    replaces: bytes


@attrs.frozen
class ActiveModelRow:
    """The row of ``facematch.active_model``."""

    model: str
    is_switched: bool = False


class InMemoryDatabase:
    """Eight tables, and what tests do to them; also the dependency that is probed in an outage.

    ``available`` set to false makes every operation and the probe fail; ``unfit`` is what a probe alone finds
    wrong. Names put into ``failing`` (those of the ports' methods) fail while the probe succeeds, as one
    connection's trouble does. ``operations`` lists what was asked for. Users who are ``locked`` by another transaction
    are not switched, and those who are ``archived`` the application lets nobody change.
    """

    name = "database"

    def __init__(self, clock: Clock | None = None) -> None:
        self.clock = clock or ManualClock()
        self.available = True
        self.unfit = ""
        self.failing: set[str] = set()
        self.operations: list[str] = []
        self.photos: set[UUID] = set()
        self.users: dict[UUID, UserRow] = {}
        self.photo_faces: dict[tuple[UUID, int], PhotoFaceRow] = {}
        self.face_matches: list[FaceMatchRow] = []
        self.outcomes: dict[JobKey, OutcomeRow] = {}
        self.attempts: dict[tuple[JobKey, int], Attempt] = {}
        self.prepared: dict[tuple[str, UUID], PreparedRow] = {}
        self.active_model: ActiveModelRow | None = None
        self.locked: set[UUID] = set()
        self.archived: set[UUID] = set()

    def add_photo(self, photo_id: UUID) -> UUID:
        """Insert a photo."""
        self.photos.add(photo_id)
        return photo_id

    def delete_photo(self, photo_id: UUID) -> None:
        """Delete a photo; its faces and their matches go with it."""
        self.photos.discard(photo_id)
        gone = [row for row in self.photo_faces.values() if row.photo_id == photo_id]
        for row in gone:
            del self.photo_faces[row.photo_id, row.face_index]
        ids = {row.id for row in gone}
        self.face_matches = [match for match in self.face_matches if match.photo_face_id not in ids]

    def add_user(
        self, user_id: UUID, template: FaceEmbedding | None = None, *, deleted: bool = False, blocked: bool = False
    ) -> UUID:
        """Insert a user."""
        model, vector = (template.model, template.vector) if template is not None else (None, None)
        self.users[user_id] = UserRow(user_id, model, vector, deleted, blocked)
        return user_id

    def mark_user(self, user_id: UUID, *, deleted: bool = False, blocked: bool = False) -> None:
        """Say of a user that they are deleted or blocked."""
        self.users[user_id].deleted, self.users[user_id].blocked = deleted, blocked

    def write_embedding(self, user_id: UUID, model: str | None, vector: tuple[float, ...] | None) -> None:
        """Write what the application likes into a user's columns."""
        row = self.users[user_id]
        row.model, row.vector, row.photographs = model, vector, None
        row.image_refs, row.image_digests = (), ()

    def delete_user(self, user_id: UUID) -> None:
        """Delete a user's row; their matches go with it."""
        self.users.pop(user_id, None)
        self.face_matches = [match for match in self.face_matches if match.user_id != user_id]

    def is_matched(self, photo_id: UUID) -> bool:
        """Tell whether any face of the photo has a match."""
        faces = {row.id for row in self.photo_faces.values() if row.photo_id == photo_id}
        return any(match.photo_face_id in faces for match in self.face_matches)

    def add_face(self, photo_id: UUID, embedding: FaceEmbedding) -> UUID:
        """Insert the photo's first face."""
        face = PhotoFaceRow(uuid4(), photo_id, 0, embedding, BoundingBox(0, 0, 1, 1))
        self.photo_faces[photo_id, 0] = face
        return face.id

    def add_match(self, photo_face_id: UUID, user_id: UUID) -> UUID:
        """Insert a match of the application's own."""
        match = FaceMatchRow(uuid4(), photo_face_id, user_id, 0.0)
        self.face_matches.append(match)
        return match.id

    def faces(self) -> list[PhotoFaceRow]:
        """Return the rows of ``photo_faces``, by photo and index."""
        return [self.photo_faces[place] for place in sorted(self.photo_faces)]

    def matches(self) -> list[FaceMatchRow]:
        """Return the rows of ``face_matches``, by id."""
        return sorted(self.face_matches, key=lambda match: match.id)

    def is_anothers(self, model: str) -> bool:
        """Tell whether the gallery is not that model's, or is being switched."""
        return self.active_model not in {None, ActiveModelRow(model, is_switched=True)}

    def is_ready(self, model: str, *, found: bool) -> bool:
        """Tell whether it counts whom a search among templates of that model has found, or not."""
        if found or self.active_model is not None:
            return not self.is_anothers(model)
        in_use = any(user.vector and user.model == model and not user.deleted for user in self.users.values())
        return in_use or all(of != model for of, _ in self.prepared)

    async def check(self) -> None:
        """Answer a probe."""
        await asyncio.sleep(0)
        if not self.available:
            raise DatabaseUnavailableError("database, check: connection refused")
        if self.unfit:
            raise DatabaseUnavailableError(self.unfit)

    async def operation(self, name: str) -> None:
        """Let other tasks have a turn first; what follows is one transaction as long as it awaits nothing.

        Raises:
            DatabaseUnavailableError: no answer, or this operation was told to fail.

        """
        self.operations.append(name)
        await asyncio.sleep(0)
        if not self.available or name in self.failing:
            raise DatabaseUnavailableError(f"database, {name}: the connection was lost")
