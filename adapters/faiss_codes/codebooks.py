"""Codebooks of faiss: the long work is done in threads."""

import asyncio
from collections.abc import AsyncIterable

import numpy as np
from numpy.typing import NDArray

from adapters.faiss_codes.codebook import learn, with_shortlist
from adapters.faiss_codes.codes import can_be_made
from adapters.faiss_codes.recall import rehearse
from application.ports.codebooks import Recall


class FaissCodebooks:
    """Vectors are unit vectors, float32, [vectors, dimension]."""

    async def learn(self, examples: NDArray[np.float32]) -> bytes:
        """Train faiss; nothing is learnt from a few thousand examples, and vectors are kept as they are."""
        return await asyncio.to_thread(learn, examples)

    async def can_be_used(self, codebook: bytes, dimension: int) -> bool:
        """Make a code by it."""
        return await asyncio.to_thread(can_be_made, codebook, dimension)

    async def rehearse(
        self, codebook: bytes, probes: NDArray[np.float32], pages: AsyncIterable[NDArray[np.float32]]
    ) -> tuple[Recall, ...]:
        """Compare short codes; where vectors are kept as they are, no page is asked for."""
        rehearsal = rehearse(codebook, probes)
        if rehearsal is None:
            return ()
        async for page in pages:
            await asyncio.to_thread(rehearsal.show, page)
        return await asyncio.to_thread(rehearsal.recall)

    def with_shortlist(self, codebook: bytes, users: int) -> bytes:
        """Write the number into it."""
        return with_shortlist(codebook, users)
