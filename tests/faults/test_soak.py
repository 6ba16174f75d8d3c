"""Everything at once and at random, for as long as a suite of tests allows; ``make soak`` does it for longer."""

import pytest

from infra.photographs import Photographs
from tests.faults.soak import Plan, soak


@pytest.mark.timeout(600)
async def test_whatever_breaks_at_random_costs_nothing(photographs: Photographs) -> None:
    """No job is lost, doubled, dead-lettered or answered otherwise than in an undisturbed run."""
    report = await soak(Plan(jobs=80, seed=20_261_125, pause=0.5, outage=2.0, ack_wait=3.0), photographs)
    assert report.good, report
    assert report.injected.total() >= 5
