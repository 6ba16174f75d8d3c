"""Codebooks that say what a test wants to hear."""

from collections.abc import AsyncIterable

from application.ports.codebooks import Recall

Vectors = list[tuple[float, ...]]
LENGTHS = (1_024, 2_048, 4_096, 8_192)
_ANY = "any"


class PlainCodebooks:
    """A codebook is its dimension, any where there were no examples, and its shortlist, as text.

    ``found`` is which share of strangers find the nearest user with each of the :data:`LENGTHS`. ``examples`` are those
    that were learnt from last, and ``probes`` those that were searched for.
    """

    def __init__(self, found: tuple[float, float, float, float] = (1, 1, 1, 1)) -> None:
        self.found = found
        self.examples: Vectors | None = None
        self.probes: Vectors = []

    async def learn(self, examples: Vectors) -> bytes:
        """Look at the dimension."""
        self.examples = examples
        return f"{len(examples[0]) if examples else _ANY} {LENGTHS[0]}".encode()

    async def can_be_used(self, codebook: bytes, dimension: int) -> bool:
        """Compare the dimension."""
        return codebook.startswith((f"{dimension} ".encode(), f"{_ANY} ".encode()))

    async def rehearse(self, codebook: bytes, probes: Vectors, pages: AsyncIterable[Vectors]) -> tuple[Recall, ...]:
        """Say what is wanted, where somebody is searched for and the pages have somebody else."""
        self.probes = probes
        others = [vector async for page in pages for vector in page if vector not in probes]
        if not probes or not others:
            return ()
        measured = (Recall(*each) for each in zip(LENGTHS, self.found, strict=True))
        return tuple(recall for recall in measured if recall.shortlist >= int(codebook.split()[1]))

    def with_shortlist(self, codebook: bytes, users: int) -> bytes:
        """Write it anew."""
        return b"%b %d" % (codebook.split()[0], users)
