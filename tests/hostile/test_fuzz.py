"""Thousands of mutated files through the real pool, where a crash of native code is seen, and told by its number."""

import os

import pytest

from domain.errors import ImageTooLargeError, UnreadableImageError
from tests import processes
from tests.hostile.fuzzing import EMBEDDERS, EXPECTED, hunt
from tests.hostile.mutation import mutated, seeds

MEBIBYTE = 1024**2
MOST_MEMORY = 512 * MEBIBYTE


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Install the embedder that only decodes."""
    monkeypatch.syspath_prepend(EMBEDDERS)


@pytest.mark.usefixtures("installed")
async def test_ten_thousand_files_have_one_outcome_each() -> None:
    """Whatever is done to a file, it is read or refused: no other error, no crash, no hang, and little memory."""
    before = processes.resident(os.getpid())
    found = await hunt(range(10_000))
    assert found.unexpected == {}
    assert found.restarts == 0
    assert found.outcomes.total() == 10_000
    assert found.outcomes["read"] > 1_000
    assert found.outcomes[UnreadableImageError.__name__] > 1_000
    assert found.outcomes[ImageTooLargeError.__name__] > 50
    assert max(found.peaks.values()) < MOST_MEMORY
    assert processes.resident(os.getpid()) - before < 64 * MEBIBYTE


async def test_what_the_decoder_lets_through_harms_no_pipeline() -> None:
    """Detector and recogniser take whatever pictures come out of mutated files."""
    found = await hunt(range(20_000, 20_400), "dlib")
    assert (found.unexpected, found.restarts) == ({}, 0)
    assert set(found.outcomes) <= EXPECTED
    assert found.outcomes["read"] > 40


def test_a_number_means_the_same_file_for_ever() -> None:
    """What is told of a run can be looked at again."""
    assert [mutated(number) for number in range(200)] == [mutated(number) for number in range(200)]
    assert len({mutated(number) for number in range(len(seeds()))}) == len(seeds())
