"""The re-enrolment in memory."""

from collections.abc import Sequence
from uuid import UUID

from application.ports.reenrolment import Outdated
from domain.errors import DatabaseRefusedError, GalleryNotReadyError
from domain.faces import FaceEmbedding
from tests.fakes.database import ActiveModelRow, InMemoryDatabase, PreparedRow, UserRow


class InMemoryReenrolment:
    """Prepares templates for the users of an :class:`InMemoryDatabase`."""

    def __init__(self, database: InMemoryDatabase) -> None:
        self._database = database

    async def count(self, model: str) -> int:
        """Count them now."""
        await self._database.operation("count")
        return sum(_is_outdated(user, model) for user in self._database.users.values())

    async def outdated(self, model: str, *, after: UUID | None, limit: int) -> Sequence[Outdated]:
        """Go through the users by id."""
        await self._database.operation("outdated")
        users = [user for user in self._database.users.values() if _is_outdated(user, model)]
        beyond = sorted((user for user in users if after is None or user.id > after), key=lambda user: user.id)
        return [self._described(user, model) for user in beyond[:limit]]

    async def prepare(self, user: Outdated, template: FaceEmbedding, *, photographs: int) -> bool:
        """Keep it, where the user is as they were."""
        await self._database.operation("prepare")
        row = self._database.users.get(user.user_id)
        if row is None or not _is_outdated(row, template.model) or row.fingerprint != user.template:
            return False
        self._database.prepared[template.model, user.user_id] = PreparedRow(
            template, photographs, user.image_refs, user.image_digests, user.template
        )
        return True

    async def prepared(self, model: str, *, after: UUID | None, limit: int) -> Sequence[UUID]:
        """Go through them by id."""
        await self._database.operation("prepared")
        users = sorted(user for of, user in self._database.prepared if of == model)
        return [user for user in users if after is None or user > after][:limit]

    async def can_switch(self, model: str, user: UUID) -> bool:
        """Look whether they would be moved."""
        await self._database.operation("can_switch")
        return self._movable(model, [user]) == [user]

    async def half_done(self) -> str | None:
        """Look it up."""
        await self._database.operation("half_done")
        active = self._database.active_model
        return active.model if active is not None and not active.is_switched else None

    async def begin(self, model: str) -> bool:
        """Write it down, unless it is there."""
        await self._database.operation("begin")
        if self._database.active_model is not None and self._database.active_model.model == model:
            return True
        users = self._database.users.values()
        anybody = any(of == model for of, _ in self._database.prepared) or any(user.model == model for user in users)
        if not anybody and any(_is_outdated(user, model) for user in users):
            return False
        self._database.active_model = ActiveModelRow(model)
        return True

    async def switch(self, model: str, users: Sequence[UUID]) -> int:
        """Move them at once."""
        await self._database.operation("switch")
        moved = self._movable(model, users)
        for user_id in moved:
            row = self._database.prepared.pop((model, user_id))
            self._database.write_embedding(user_id, model, row.template.vector)
            user = self._database.users[user_id]
            user.photographs, user.image_refs, user.image_digests = row.photographs, row.image_refs, row.image_digests
        return len(moved)

    async def finish(self, model: str) -> bool:
        """Write it down."""
        await self._database.operation("finish")
        if self._database.active_model is None or self._database.active_model.model != model:
            return False
        self._database.active_model = ActiveModelRow(model, is_switched=True)
        return True

    async def tidy(self) -> None:
        """Look for the rows' users."""
        await self._database.operation("tidy")
        for model, user_id in list(self._database.prepared):
            if not self._is_ready(model, user_id):
                del self._database.prepared[model, user_id]

    async def discard(self) -> int:
        """Delete everything."""
        await self._database.operation("discard")
        if self._database.active_model is not None and not self._database.active_model.is_switched:
            raise GalleryNotReadyError("users are being switched")
        count = len(self._database.prepared)
        self._database.prepared.clear()
        return count

    def _described(self, user: UserRow, model: str) -> Outdated:
        return Outdated(user.id, user.fingerprint, user.image_refs, user.image_digests, self._is_ready(model, user.id))

    def _movable(self, model: str, users: Sequence[UUID]) -> Sequence[UUID]:
        if self._database.archived.intersection(users):
            raise DatabaseRefusedError("database, switch_templates: refused: the user is archived")
        return [user for user in users if user not in self._database.locked and self._is_ready(model, user)]

    def _is_ready(self, model: str, user_id: UUID) -> bool:
        row, user = self._database.prepared.get((model, user_id)), self._database.users.get(user_id)
        return bool(row and user and _is_outdated(user, model) and user.fingerprint == row.replaces)


def _is_outdated(user: UserRow, model: str) -> bool:
    return user.vector is not None and user.model != model and not user.deleted
