"""A dependency whose state the test decides."""

import asyncio

from domain.errors import FacematchError


class ScriptedDependency:
    """Up while ``problem`` is None; ``checks`` counts the probes."""

    def __init__(self, name: str, problem: FacematchError | None = None) -> None:
        self.problem = problem
        self.checks = 0
        self._name = name

    @property
    def name(self) -> str:
        """What the test called it."""
        return self._name

    async def check(self) -> None:
        """Answer the probe."""
        self.checks += 1
        await asyncio.sleep(0)
        if self.problem is not None:
            raise self.problem
