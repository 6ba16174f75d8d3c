"""What the commands that enrol have in common: photographs of whatever kind, and a role that may write templates."""

import asyncio
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import attrs

from adapters.system.files import read_at_most
from application.enrolment.template import EnrolmentImage, EnrolmentRefusedError
from domain.errors import DatabaseForbiddenError, JobRejectedError, StorageUnavailableError
from domain.images import BucketNotAllowedError, InvalidImageRefError
from entrypoints.composition.enrolment import EnrolmentContainer
from entrypoints.terminal.console import fail


@attrs.frozen
class EnrolmentImages:
    """Photographs by what people call them: a local file, or else a reference to the object store."""

    container: EnrolmentContainer

    async def __call__(self, name: str) -> EnrolmentImage:
        """Return a photograph.

        Raises:
            EnrolmentRefusedError: there is none, or it is too large.
            AttemptFailedError: the object store failed.

        """
        try:
            content = await asyncio.to_thread(_local, Path(name), self.container.budget().max_bytes)
            return await self._stored(name) if content is None else EnrolmentImage(name, content)
        except JobRejectedError as error:
            raise EnrolmentRefusedError([f"{name}: {error}"]) from error
        except OSError as error:
            raise EnrolmentRefusedError([f"{name}: {error.strerror}"]) from error

    async def _stored(self, name: str) -> EnrolmentImage:
        try:
            ref = self.container.image_refs().parse(name)
        except BucketNotAllowedError as error:
            raise EnrolmentRefusedError([f"{name}: {error} (FACEMATCH_S3_ALLOWED_BUCKETS)"]) from error
        except InvalidImageRefError as error:
            meant = f", and no reference either: {error}" if "://" in name else ""
            raise EnrolmentRefusedError([f"{name}: no such file here{meant}"]) from error
        try:
            content = await self.container.photos().fetch(ref, max_bytes=self.container.budget().max_bytes)
        except (JobRejectedError, StorageUnavailableError) as error:
            if "://" in name:
                raise
            raise type(error)(f"no such file here, so taken as a reference: {error}") from error
        return EnrolmentImage(name, content, str(ref))


@contextmanager
def rights_explained() -> Iterator[None]:
    """Where the role may not, say who can change that."""
    try:
        yield
    except DatabaseForbiddenError as error:
        fail(f"{error}; the tables' owner can run `facematch migrate --grant-enrolment-to ROLE` for this role")


def _local(path: Path, max_bytes: int) -> bytes | None:
    return read_at_most(path, max_bytes) if os.path.exists(path) else None  # noqa: PTH110 - a name may be too long for one
