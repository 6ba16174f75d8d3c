"""The photographs that somebody is enrolled from."""

from collections.abc import Awaitable, Callable, Sequence

import attrs

from domain.errors import FacematchError


class EnrolmentRefusedError(FacematchError):
    """Nothing was written, for these reasons."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = tuple(problems)


@attrs.frozen
class EnrolmentImage:
    """A photograph to enrol somebody from, and what to call it when there is something to say about it.

    ``image_ref`` is where it lies in the object store, in its canonical form; None where it lies elsewhere.
    """

    name: str
    content: bytes = attrs.field(repr=False)
    image_ref: str | None = None


Fetch = Callable[[str], Awaitable[EnrolmentImage]]
"""Returns the photograph of that name.

Raises :class:`EnrolmentRefusedError` where there is none, :class:`AttemptFailedError` where the system failed.
"""
