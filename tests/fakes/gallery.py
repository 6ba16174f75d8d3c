"""The gallery, seen from jobs and from stored faces, and the enrolment in memory."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from uuid import UUID

from application.ports.gallery import Neighbours, Others
from domain.decision import Candidate
from domain.errors import GalleryNotReadyError
from domain.faces import FaceEmbedding
from tests.fakes.database import InMemoryDatabase, UserRow


class InMemoryGallery:
    """Compares with every candidate of an :class:`InMemoryDatabase`."""

    def __init__(self, database: InMemoryDatabase) -> None:
        self._database = database

    async def search(self, probe: FaceEmbedding, *, limit: int) -> Neighbours:
        """Count everybody; embeddings that cannot be compared, though of the same model, are not near."""
        await self._database.operation("search")
        users = [user for user in self._database.users.values() if user.is_candidate_for(probe.model)]
        nearest = tuple(_nearest(users, probe, limit))
        if not self._database.is_ready(probe.model, found=bool(nearest)):
            raise GalleryNotReadyError(f"the gallery is not of {probe.model}")
        return Neighbours(nearest, len(users))


class InMemoryStoredFaces:
    """Compares the faces of an :class:`InMemoryDatabase` with its candidates."""

    def __init__(self, database: InMemoryDatabase) -> None:
        self._database = database

    async def nearest(self, photo_face_id: UUID, *, limit: int) -> Sequence[Candidate]:
        """Compare where the gallery is the embedding's."""
        await self._database.operation("nearest")
        probes = [row.embedding for row in self._database.photo_faces.values() if row.id == photo_face_id]
        users = [
            user
            for user in self._database.users.values()
            for probe in probes
            if user.is_candidate_for(probe.model) and not self._database.is_anothers(probe.model)
        ]
        return [found for probe in probes for found in _nearest(users, probe, limit)]


class InMemoryEnrolment:
    """Templates in the users of an :class:`InMemoryDatabase`."""

    def __init__(self, database: InMemoryDatabase) -> None:
        self._database = database

    async def user_exists(self, user_id: UUID) -> bool:
        """Tell whether the row is there."""
        await self._database.operation("user_exists")
        return user_id in self._database.users and not self._database.users[user_id].deleted

    async def not_to_enrol(self, user_ids: Sequence[UUID]) -> Collection[UUID]:
        """Look them up."""
        await self._database.operation("not_to_enrol")
        users = [self._database.users[user] for user in user_ids if user in self._database.users]
        return {user.id for user in users if user.vector is not None or user.deleted}

    async def save_template(
        self,
        user_id: UUID,
        template: FaceEmbedding,
        *,
        photographs: int,
        image_refs: Sequence[str] = (),
        image_digests: Sequence[bytes] = (),
        replace: bool = True,
    ) -> bool:
        """Store the template where the row is there, and may be written."""
        await self._database.operation("save_template")
        row = self._database.users.get(user_id)
        if self._database.is_anothers(template.model):
            raise GalleryNotReadyError(f"the gallery is not of {template.model}")
        if row is None or row.deleted or (not replace and row.vector is not None):
            return False
        self._database.write_embedding(user_id, template.model, template.vector)
        row.photographs, row.image_refs, row.image_digests = photographs, tuple(image_refs), tuple(image_digests)
        return True

    async def others(self, user_id: UUID, template: FaceEmbedding, *, limit: int) -> Others:
        """Compare with every other template of the model."""
        await self._database.operation("others")
        users = [
            user
            for user in self._database.users.values()
            if user.id != user_id and user.model == template.model and user.vector is not None
        ]
        return Others(len(users), tuple(_nearest(users, template, limit)))

    async def same_templates(self, model: str) -> Mapping[UUID, UUID]:
        """Compare whole vectors."""
        await self._database.operation("same_templates")
        alike: dict[tuple[float, ...], list[UUID]] = defaultdict(list)
        for user in sorted(self._database.users.values(), key=lambda user: user.id):
            if user.model == model and user.vector is not None:
                alike[user.vector].append(user.id)
        return {user: users[user == users[0]] for users in alike.values() if len(users) > 1 for user in users}


def _nearest(users: Iterable[UserRow], probe: FaceEmbedding, limit: int) -> list[Candidate]:
    candidates = [
        Candidate(user.id, probe.cosine_distance(user.template), user.photographs, user.fingerprint)
        for user in users
        if user.template and user.template.dimension == probe.dimension
    ]
    return sorted(candidates, key=lambda candidate: (candidate.distance, candidate.user_id))[:limit]
