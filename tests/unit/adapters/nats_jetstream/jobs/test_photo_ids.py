"""A large set of photo ids."""

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.nats_jetstream.jobs.photo_ids import PhotoIds

ODD = [UUID(int=value) for value in (0, 1, 255, 256, 1 << 64, 1 << 120, (1 << 128) - 1, 0xFF << 120)]


@given(st.lists(st.lists(st.uuids() | st.sampled_from(ODD), max_size=20), max_size=8), st.lists(st.uuids(), max_size=5))
def test_it_knows_what_was_added_and_nothing_else(rounds: list[list[UUID]], others: list[UUID]) -> None:
    """Whatever was asked in between; ids that end in zeros are no exception."""
    ids, known = PhotoIds(), set[UUID]()
    for photos in rounds:
        for photo in photos:
            ids.add(photo.bytes)
        known |= set(photos)
        asked = [*ODD, *others, *known]
        assert ids.among(asked) == {photo for photo in asked if photo in known}


def test_an_empty_set_knows_nothing() -> None:
    """Neither of something nor of nothing."""
    assert PhotoIds().among(ODD) == frozenset()
    assert PhotoIds().among([]) == frozenset()


@pytest.mark.parametrize("count", [200_000])
def test_it_takes_sixteen_bytes_for_each(count: int) -> None:
    """Its arrays hold the ids themselves, each once, in a number of arrays that hardly grows."""
    ids = PhotoIds()
    for start in range(0, count, 10_000):
        for number in range(start, start + 10_000):
            ids.add(UUID(int=number << 32).bytes)
        assert ids.among([UUID(int=start << 32)])
    assert sum(array.nbytes for array in ids._sorted) == 16 * count
    assert len(ids._sorted) < 20
