"""How a store's refusals differ from its faults; to the use cases both are ``storage_unavailable``."""

from domain.errors import Scope, StorageUnavailableError


class StorageRefusedError(StorageUnavailableError):
    """The server answers, and refuses what was asked: asked again at once, it would refuse again.

    Not a property of the job: somebody has to mend credentials, rights or clocks, and then it can be done.
    """


class ObjectForbiddenError(StorageRefusedError):
    """This one object may not be read; others may be.

    Such a job fails, is tried again with every delivery and ends as a dead letter, to be sent again when the rights
    are right. It is not ``image_not_found``, which would end it for ever as if the photograph were at fault, and by
    itself it is no outage, which would hold every other job for the sake of this one: only where others may not be read
    either. AWS and MinIO also answer so for a key that does not exist where the credentials lack ``s3:ListBucket``:
    grant that, and such jobs end as ``image_not_found``.
    """

    scope = Scope.ONE


class ObjectArchivedError(StorageRefusedError):
    """This one object lies in an archive, from which it has to be restored first; that says nothing of rights."""

    scope = Scope.ONE


class RefusalError(Exception):
    """What the server answered instead of an object: the HTTP status, and its code if it is an S3 server's error."""

    def __init__(self, status: int, code: str | None) -> None:
        super().__init__(f"HTTP {status}, {code or 'no code'}")
        self.status = status
        self.code = code
