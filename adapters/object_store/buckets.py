"""Whether buckets are there: to a job, a wrong setting looks like a photograph that is missing."""

from collections.abc import Iterable
from enum import Enum

from adapters.object_store.errors import ObjectForbiddenError, RefusalError
from adapters.object_store.store import PROBE_KEY, S3PhotoStore, StoreOptions
from domain.errors import ImageNotFoundError, ImageTooLargeError
from domain.images import ImageRef


class Bucket(Enum):
    """What a store says of a bucket."""

    THERE = "there"
    MISSING = "missing"
    HIDDEN = "hidden"
    """Nothing: these credentials may not see what is missing in it, and perhaps not read from it."""


async def look_for_buckets(options: StoreOptions, names: Iterable[str]) -> dict[str, Bucket]:
    """Ask for an object that hardly exists in each bucket: no right is needed that jobs do not need.

    Raises:
        StorageUnavailableError: no answer, or the credentials are refused altogether.

    """
    async with S3PhotoStore(options) as store:
        return {name: await _look_for(store, name) for name in names}


async def _look_for(store: S3PhotoStore, name: str) -> Bucket:
    try:
        await store.fetch(ImageRef(name, PROBE_KEY), max_bytes=0)
    except ImageNotFoundError as error:
        cause = error.__cause__
        return Bucket.THERE if isinstance(cause, RefusalError) and cause.code == "NoSuchKey" else Bucket.MISSING
    except ImageTooLargeError:
        return Bucket.THERE
    except ObjectForbiddenError:
        return Bucket.HIDDEN
    return Bucket.THERE
