"""Faults of the system, not of the job: repeated a few times, then dead-lettered once; others are not disturbed."""

import json
import os
import signal
from pathlib import Path
from uuid import uuid4

import pytest

from tests.e2e.forked import run_forked
from tests.e2e.world import World, eventually

_TROUBLESOME = str(Path(__file__).parent / "troublesome")


@pytest.fixture
def troubled(world: World) -> World:
    """Return a world with a third party's embedder, two deliveries for each job, and images that cause trouble."""
    world.environment |= {
        "PYTHONPATH": _TROUBLESOME,
        "FACEMATCH_EMBEDDER": "troublesome",
        "FACEMATCH_NATS_MAX_DELIVER": "2",
    }
    for what in ("crash", "hang", "fail", "fine"):
        world.put(what, what.encode())
    return world


def test_a_third_party_s_embedder_is_listed(troubled: World) -> None:
    """An installed package that registers an entry point is known, without any change to the product."""
    assert "troublesome@1" in run_forked("embedders", **troubled.environment).stdout


@pytest.mark.parametrize(
    ("image", "reason", "seconds"),
    [("crash", "embedder_crashed", "5"), ("hang", "embedder_timeout", "1"), ("fail", "internal_error", "5")],
)
async def test_a_job_that_always_fails_is_dead_lettered_once(
    troubled: World, image: str, reason: str, seconds: str
) -> None:
    """After its deliveries it ends ``failed`` with one event and one dead letter; a job beside it ends as ever."""
    poisoned, beside = troubled.add_photo(), troubled.add_photo()
    body = {"photo_id": str(poisoned), "image_ref": image, "job_id": str(uuid4())}
    with troubled.worker(FACEMATCH_VISION_TIMEOUT_SECONDS=seconds) as worker:
        await troubled.publish(body, {"X-Own": "kept", "Nats-Msg-Id": "publisher-1"})
        await troubled.publish({"photo_id": str(beside), "image_ref": "fine"})
        [event] = await troubled.outcome_of(beside)
        assert event["reason"] == "no_enrolled_users"
        [event] = await troubled.outcome_of(poisoned)
        await troubled.settled()
    lines = [line for line in worker.job_lines() if line["photo_id"] == str(poisoned)]
    assert (event["outcome"], event["reason"], event["job_id"]) == ("failed", reason, body["job_id"])
    assert [(line["action"], line["delivery"]) for line in lines] == [("retry", 1), ("failed", 2)]
    assert [line["level"] for line in lines] == ["warning", "error"]
    [letter] = await troubled.stored("PHOTO_FACES_DEAD")
    assert letter.headers["Facematch-Reason"] == reason
    assert letter.headers["Facematch-Deliveries"] == "2"
    assert letter.headers["X-Own"] == "kept"
    assert letter.headers["Facematch-Original-Nats-Msg-Id"] == "publisher-1"
    assert "secret words" not in str(letter.headers)
    attempts = troubled.sql("SELECT delivery, reason FROM facematch.attempts WHERE photo_id = %s", poisoned)
    assert attempts == [(1, reason)]
    assert troubled.sql("SELECT count(*) FROM photo_faces WHERE photo_id = %s", poisoned) == [(0,)]


def test_the_doctor_tells_why_an_embedder_cannot_be_loaded(troubled: World) -> None:
    """Whatever its package raises is one row among the others."""
    troubled.environment["TROUBLESOME_MODEL"] = "/nowhere/model"
    examined = troubled.cli("doctor", "--json", check=False)
    [failed] = [check for check in json.loads(examined.stdout)["checks"] if check["status"] == "failed"]
    assert (examined.returncode, failed["what"]) == (1, "embedder")
    assert "FileNotFoundError" in failed["detail"]


async def test_an_embedder_that_cannot_be_loaded_any_more_costs_no_other_job(troubled: World, tmp_path: Path) -> None:
    """When it has to be loaded anew and is missing, jobs are held and ``/readyz`` says why; none is lost."""
    model = tmp_path / "model"
    model.touch()
    troubled.environment |= {"TROUBLESOME_MODEL": str(model), "FACEMATCH_WORKER_PROCESSES": "1"}
    poisoned = troubled.add_photo()
    photos = troubled.add_photos(8)
    with troubled.worker() as worker:
        model.unlink()
        os.kill(worker.vision_processes()[0], signal.SIGKILL)
        await troubled.publish({"photo_id": str(poisoned), "image_ref": "crash"})
        for photo in photos:
            await troubled.publish({"photo_id": str(photo), "image_ref": "fine"})

        async def reasons() -> dict[str, str]:
            answer: dict[str, str] = json.loads(worker.get("/readyz")[1])["reasons"]
            return answer

        found = await eventually(reasons, lambda found: "embedder" in found, "/readyz to name the embedder")
        assert "'troublesome' cannot be loaded: FileNotFoundError" in found["embedder"]
        assert await troubled.stored("PHOTO_FACES_DEAD") == []
        model.touch()
        for photo in photos:
            [event] = await troubled.outcome_of(photo)
            assert event["reason"] == "no_enrolled_users"
        [event] = await troubled.outcome_of(poisoned)
        assert event["reason"] == "embedder_crashed"
        await troubled.settled()
    assert len(await troubled.stored("PHOTO_FACES_DEAD")) == 1
