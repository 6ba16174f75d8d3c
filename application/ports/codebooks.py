"""Codebooks: what the codes of a large gallery's vectors are made by.

A search looks closely at a shortlist of users, who are nearest by their codes. The codebook says how long that is.
"""

from collections.abc import AsyncIterable
from typing import Protocol, TypeVar

import attrs

VectorsT_contra = TypeVar("VectorsT_contra", contravariant=True)


@attrs.frozen
class Recall:
    """With a shortlist of so many users, which share of strangers have their nearest user ``found``."""

    shortlist: int
    found: float


class Codebooks(Protocol[VectorsT_contra]):
    """Makes codebooks, and tries them out."""

    async def learn(self, examples: VectorsT_contra) -> bytes:
        """Return a codebook."""

    async def can_be_used(self, codebook: bytes, dimension: int) -> bool:
        """Tell whether a codebook is one for vectors of that dimension; it may be damaged."""

    async def rehearse(
        self, codebook: bytes, probes: VectorsT_contra, pages: AsyncIterable[VectorsT_contra]
    ) -> tuple[Recall, ...]:
        """Search for some of the users, the probes, among all others, who are on the pages; tell how often that works.

        The first is with the shortlist that the codebook has, each next with one twice as long, the last with the
        longest that can be. There is none where these searches find everybody in any case, or there is nobody else.
        """

    def with_shortlist(self, codebook: bytes, users: int) -> bytes:
        """Return the codebook with a shortlist of so many users."""
