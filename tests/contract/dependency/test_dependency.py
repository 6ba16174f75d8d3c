"""What anything does that the service cannot work without, and its fakes in memory."""

import re

import pytest

from application.ports.dependency import Dependency
from domain.errors import FacematchError
from tests.contract.dependency.conftest import Subject


async def test_it_is_a_dependency(subject: Subject) -> None:
    """It satisfies the port: it is up however often it is asked, and people know what it is."""
    dependency: Dependency = subject.dependency
    await dependency.check()
    await dependency.check()
    assert re.fullmatch("[a-z]+( [a-z]+)?", dependency.name)


async def test_while_it_is_down_it_says_why(subject: Subject) -> None:
    """Once it is up again it says so, without anybody's help."""
    async with subject.down():
        with pytest.raises(FacematchError, match=r"\w"):
            await subject.dependency.check()
    await subject.dependency.check()
