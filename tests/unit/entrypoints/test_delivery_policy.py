"""How deliveries are limited, by the settings."""

import pytest

from domain.retries import LinearBackoff
from entrypoints.composition.objects import fetch_seconds
from entrypoints.composition.worker import delivery_policy
from entrypoints.environment.variables import read
from entrypoints.settings import Settings

WORKER = {"FACEMATCH_WORKER_PROCESSES": "2", "FACEMATCH_WORKER_CONCURRENCY": "6"}


def test_deliveries_and_delays_are_those_of_the_settings() -> None:
    """The limit is MAX_DELIVER, the delay grows by the base, and three signs of life fit into ACK_WAIT."""
    settings = read(
        Settings,
        {
            "FACEMATCH_NATS_MAX_DELIVER": "4",
            "FACEMATCH_NATS_RETRY_BASE_SECONDS": "0.5",
            "FACEMATCH_NATS_ACK_WAIT": "6",
        },
    )
    policy = delivery_policy(settings)
    assert (policy.retries, policy.heartbeat_seconds) == (LinearBackoff(4, 0.5), 2.0)


@pytest.mark.parametrize(
    ("ack_wait", "timeout", "expected"),
    [("1", "30", 186.8), ("30", "30", 210), ("300", "30", 426), ("3600", "30", 3066), ("30", "600", 1920)],
)
def test_the_deadline_is_longer_than_what_an_attempt_waits_for(ack_wait: str, timeout: str, expected: float) -> None:
    """A photograph may use up its time to come, wait for its turn, and use up its time there; 96 s remain."""
    variables = {"FACEMATCH_NATS_ACK_WAIT": ack_wait, "FACEMATCH_VISION_TIMEOUT_SECONDS": timeout}
    assert delivery_policy(read(Settings, WORKER | variables)).deadline_seconds == pytest.approx(expected)


@pytest.mark.parametrize("ack_wait", [1, 30, 3600])
def test_a_fetch_with_all_its_tries_ends_within_the_ack_wait(ack_wait: float) -> None:
    """Whatever that is set to."""
    settings = read(Settings, {"FACEMATCH_NATS_ACK_WAIT": str(ack_wait)})
    assert 0.5 * ack_wait < fetch_seconds(settings.nats) < ack_wait
