"""A system that the service cannot work without."""

from typing import Protocol


class Dependency(Protocol):
    """Something that is up or down for every job alike, and can be asked which."""

    @property
    def name(self) -> str:
        """Short name for people: ``database``, ``object store``, ``message broker``."""

    async def check(self) -> None:
        """Return when it answers; raise :class:`domain.errors.FacematchError` saying why when it does not."""
