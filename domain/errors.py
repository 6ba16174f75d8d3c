"""Errors that the product raises on purpose; transient and permanent are types, not strings."""

from enum import Enum, auto
from typing import ClassVar

from domain.outcomes import Reason


class FacematchError(Exception):
    """Something went wrong that the product foresaw; the message says what, where and what to do."""


class JobRejectedError(FacematchError):
    """The job itself cannot be done, now or later: its outcome is ``skipped`` with this reason."""

    reason: Reason


class ImageNotFoundError(JobRejectedError):
    """There is no such object, or no such bucket."""

    reason = Reason.IMAGE_NOT_FOUND


class ImageTooLargeError(JobRejectedError):
    """The image exceeds the budget of bytes or of pixels."""

    reason = Reason.IMAGE_TOO_LARGE


class UnreadableImageError(JobRejectedError):
    """Not an image of an allowed format, or truncated, or corrupt."""

    reason = Reason.UNREADABLE_IMAGE


class Scope(Enum):
    """Whose trouble a failed attempt is, as far as the failure itself tells."""

    UNKNOWN = auto()
    """A probe of the dependency that it blames tells."""
    EVERYONE = auto()
    """Every job fails alike, whatever a probe would find: hold them."""
    ONE = auto()
    """The photograph's or user's own: do not count it towards a general failure."""
    OTHER_WORKERS = auto()
    """This worker cannot do it, another may: give it back, uncounted."""
    LOCKED = auto()
    """Somebody keeps what it needs: unless a probe finds it kept from everyone, give it back, uncounted, ever later."""


class AttemptFailedError(FacematchError):
    """This attempt failed through no fault of the job: another one may succeed."""

    reason: ClassVar[Reason] = Reason.INTERNAL_ERROR
    scope: ClassVar[Scope] = Scope.UNKNOWN


class StorageUnavailableError(AttemptFailedError):
    """The object store did not answer, or answered with a fault of its own."""

    reason = Reason.STORAGE_UNAVAILABLE


class DatabaseUnavailableError(AttemptFailedError):
    """The database did not answer, or refused for a passing reason."""

    reason = Reason.DATABASE_UNAVAILABLE


class DatabaseUnwritableError(DatabaseUnavailableError):
    """The database answers, but has no room or no memory for what it is to keep, or takes no writes."""

    scope = Scope.EVERYONE


class DatabaseRefusedError(DatabaseUnavailableError):
    """The database answers, and refuses what was to be written, as by a rule of the application's."""

    scope = Scope.ONE


class DatabaseLockedError(DatabaseUnavailableError):
    """A transaction of somebody else's keeps locked what the job reads or writes."""

    scope = Scope.LOCKED


class DatabaseForbiddenError(DatabaseUnavailableError):
    """The role may not do what was asked; another one can allow it."""


class GalleryNotReadyError(DatabaseUnavailableError):
    """The gallery is another embedder's, or is just being switched: nobody can be found in it, or not everybody."""

    scope = Scope.OTHER_WORKERS


class GalleryTooSlowError(DatabaseUnavailableError):
    """A search did not end in time: it is the same work for every job."""

    scope = Scope.EVERYONE


class EmbedderCrashedError(AttemptFailedError):
    """The process that looked at the photograph died."""

    reason = Reason.EMBEDDER_CRASHED
    scope = Scope.ONE


class EmbedderTimeoutError(AttemptFailedError):
    """The process that looked at the photograph was stopped at its time limit."""

    reason = Reason.EMBEDDER_TIMEOUT
    scope = Scope.ONE


class EmbedderFailedError(AttemptFailedError):
    """The embedder raised an error of its own on the photograph, or answered what it must not."""

    scope = Scope.ONE


class EmbedderUnavailableError(AttemptFailedError):
    """The embedder cannot be loaded, or no process can be started for it; that is no photograph's fault."""


class MessagingUnavailableError(FacematchError):
    """The message broker did not confirm; what was not confirmed will be delivered or published again."""
