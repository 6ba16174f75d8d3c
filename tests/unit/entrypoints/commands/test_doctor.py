"""What ``doctor`` says of the threshold, of buckets, of searches and of encryption."""

from collections.abc import AsyncIterator
from pathlib import Path

import attrs
import pytest

from adapters.object_store.buckets import Bucket
from adapters.postgres.inspection import DatabaseFacts
from application.ports.face_pipeline import EmbedderInfo
from application.ports.search_index import IndexState
from domain.calibration import Calibration
from domain.decision import FixedThreshold
from domain.errors import FacematchError
from domain.evaluation.calibrating import MeasuredCalibration, MeasuredCurve
from entrypoints.commands.doctor import (
    Finding,
    Status,
    broker_finding,
    bucket_finding,
    dead_letters_finding,
    embedding_findings,
    encryption_findings,
    enrolment_finding,
    failures_found,
    search_finding,
    server_findings,
    shown,
    threshold_finding,
)
from entrypoints.environment.variables import read, variables
from entrypoints.settings import Settings, VisionSettings
from tests.certificates import authority, needs_openssl

MINE = EmbedderInfo("mine@1", 128, "mine", "mine", Calibration(((1e-3, 0.05), (1e-1, 0.12))))
ONE_DISTANCE = attrs.evolve(MINE, calibration=Calibration(((1.0, 0.4),)))
NEARER = MeasuredCalibration("mine@1", (MeasuredCurve(1, 142, 10_000, ((2e-3, 0.05), (1e-1, 0.1))),))
MEASURED = MeasuredCalibration("mine@1", (MeasuredCurve(1, 142, 10_000, ((2e-3, 0.05),)),))

FACTS = DatabaseFacts("18", "0.8", 1, 0, 0, {}, (), (), None, None, 0, {}, "127.0.0.1", "prefer")


def within(distance: float | None, calibration: MeasuredCalibration | None = None) -> VisionSettings:
    """Settings of one distance."""
    return VisionSettings(max_distance=FixedThreshold(distance), calibration=calibration)


@pytest.mark.parametrize(
    ("vision", "info", "enrolled", "status", "words"),
    [
        (VisionSettings(), MINE, 10, Status.OK, "mine@1 was measured for up to 10 users"),
        (
            VisionSettings(),
            MINE,
            11,
            Status.WARNING,
            "11 are enrolled: the threshold is extrapolated, and more people are missed; run",
        ),
        (VisionSettings(calibration=MEASURED), MINE, 5, Status.OK, "CALIBRATION was measured for up to 5"),
        (VisionSettings(calibration=MEASURED), MINE, 6, Status.WARNING, "extrapolated"),
        (VisionSettings(), ONE_DISTANCE, 10**6, Status.OK, "mine@1 has one distance"),
        (VisionSettings(target_fpir=0.5), MINE, 10, Status.WARNING, "0.5, a share: 50% of strangers are named"),
        (within(0.07), MINE, 1, Status.OK, "0.07, whatever the number of users"),
        (
            within(0.07),
            MINE,
            100,
            Status.WARNING,
            "0.07, and of mine@1 0.0508 is too much among 100 users: more than 10%",
        ),
        (within(0.5), MINE, 1, Status.WARNING, "0.5, and of mine@1 0.0752 is too much among 20 users"),
        (within(0.41), ONE_DISTANCE, 1, Status.OK, "0.41, whatever the number of users"),
        (within(0.07, NEARER), MINE, 1, Status.WARNING, "of mine@1 0.0623 is too much"),
        (within(None), MINE, 1, Status.WARNING, "however far"),
    ],
)
def test_a_threshold_that_nobody_measured_is_a_warning(
    vision: VisionSettings, info: EmbedderInfo, enrolled: int, status: Status, words: str
) -> None:
    """For so many users, or for this embedder; of one that fits it is told where it is from."""
    found = threshold_finding(vision, info, enrolled)
    assert (found.what, found.status, words in found.detail) == ("threshold", status, True), found


@pytest.mark.parametrize(
    ("name", "state", "status", "words"),
    [
        ("images", Bucket.THERE, Status.OK, "images is there"),
        ("images", Bucket.MISSING, Status.FAILED, "there is no bucket images: correct FACEMATCH_S3_BUCKET,"),
        ("other", Bucket.MISSING, Status.FAILED, "there is no bucket other: correct FACEMATCH_S3_ALLOWED_BUCKETS,"),
        ("images", Bucket.HIDDEN, Status.WARNING, "grant s3:ListBucket"),
    ],
)
def test_a_bucket_that_is_missing_is_a_wrong_setting(name: str, state: Bucket, status: Status, words: str) -> None:
    """It is told which; where nothing can be said, that is no failure."""
    found = bucket_finding(name, state, "images")
    assert (found.what, found.status, words in found.detail) == ("bucket", status, True)


def index_state(dimension: int | None, *, is_kept: bool = True) -> IndexState:
    """Return what is known of an index of 9 users."""
    return IndexState(dimension, is_kept=is_kept, users=9, version="1", learnt_from=9)


@pytest.mark.parametrize(
    ("enrolled", "index", "unindexed", "status", "words"),
    [
        (4_999, None, 0, Status.OK, "without an index: each photo's face is compared with every user"),
        (
            5_000,
            None,
            0,
            Status.WARNING,
            "without an index: each photo's face is compared with all 5,000 users; run `facematch index`",
        ),
        (9, index_state(128), 0, Status.OK, "through an index of about 9 users"),
        (9, index_state(128), 2, Status.WARNING, "2 users not in the index: it finds none of them; run"),
        (
            9,
            index_state(None),
            0,
            Status.WARNING,
            "not complete, so that each photo's face is compared with every user",
        ),
        (9, index_state(128, is_kept=False), 0, Status.WARNING, "not complete"),
        (9, index_state(512), 0, Status.WARNING, "run `facematch index`"),
    ],
)
def test_a_search_that_could_be_better_is_told(
    enrolled: int, index: IndexState | None, unindexed: int, status: Status, words: str
) -> None:
    """A slow one, an index that nobody can rely on, and one that lacks somebody."""
    found = search_finding(attrs.evolve(FACTS, enrolled=enrolled, index=index, unindexed=unindexed), 128)
    assert (found.what, found.status, words in found.detail) == ("search", status, True)


def test_a_search_by_what_is_damaged_is_a_failure() -> None:
    """Whatever else is true of the index."""
    found = search_finding(attrs.evolve(FACTS, learnt=b"of another time", index=index_state(128), unindexed=2), 128)
    assert (found.status, "damaged, or of a newer release" in found.detail) == (Status.FAILED, True)


@pytest.mark.parametrize(
    ("told", "what", "words"),
    [
        ({"unfit": 2}, "unfit embeddings", "2 users with one of mine@1 that no photo can be compared with"),
        ({"shared": 3}, "same embeddings", "3 users with the same as another"),
        (
            {"unusable": {"other@1": 4}},
            "other embeddings",
            "4 users with one of model other@1: run `facematch reenroll",
        ),
        ({"unusable": {"": 5}}, "other embeddings", "5 users with one of an unknown model"),
        (
            {"logged": {"statements": "ALTER ROLE"}},
            "database log",
            "to its log, with statements; a superuser can run: ALTER ROLE",
        ),
        ({"copying": ("ALTER TABLE",)}, "database statistics", "outlive their rows; the owner can run: ALTER TABLE"),
        (
            {"advice": ("CREATE INDEX CONCURRENTLY ON a (b)",)},
            "database speed",
            "the owner can run: CREATE INDEX CONCURRENTLY ON a (b)",
        ),
        (
            {"advice": ("CREATE INDEX ON a (b)",)},
            "database speed",
            "the owner can run, which lets nobody write to the table meanwhile: CREATE INDEX ON a (b)",
        ),
        ({"address": "10.0.0.1"}, "encryption", "the database at 10.0.0.1, sslmode=prefer: whoever is between"),
    ],
)
def test_what_is_amiss_in_the_database_is_a_warning_of_its_own(told: dict[str, object], what: str, words: str) -> None:
    """And nothing else is told; where nothing is amiss, nothing is."""
    facts = attrs.evolve(FACTS, **told)  # type: ignore[arg-type]  # the parameters name what the class has
    (found,) = (*embedding_findings(facts, "mine@1"), *server_findings(facts))
    assert (found.what, found.status, words in found.detail) == (what, Status.WARNING, True)
    assert [*embedding_findings(FACTS, "mine@1"), *server_findings(FACTS)] == []


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({}, []),
        ({"FACEMATCH_NATS_URL": "nats://[::1]:4222,tls://nats", "FACEMATCH_S3_ENDPOINT": "localhost"}, []),
        (
            {"FACEMATCH_NATS_URL": "nats://u:p@n1:4222,tls://n2:4222,nats://10.0.0.1,nats://localhost:4222"},
            ["NATS at n1:4222, 10.0.0.1: "],
        ),
        ({"FACEMATCH_S3_ENDPOINT": "s3.example:9000"}, ["the object store at s3.example:9000: "]),
        ({"FACEMATCH_S3_ENDPOINT": "[fe80::1]:9000", "FACEMATCH_S3_SECURE": "true"}, []),
    ],
)
def test_what_goes_in_clear_to_another_machine_is_a_warning(changed: dict[str, str], words: list[str]) -> None:
    """One for each connection, without who we are; on this machine nobody is between."""
    settings = read(Settings, changed)
    found = list(encryption_findings(settings.nats, settings.s3))
    assert [(one.what, one.status) for one in found] == [("encryption", Status.WARNING)] * len(words)
    assert all(one.detail.startswith(start) for one, start in zip(found, words, strict=True))


@needs_openssl
def test_a_certificate_to_trust_is_encryption(tmp_path: Path) -> None:
    """It makes every server of the list one that is spoken to in TLS."""
    changed = {"FACEMATCH_NATS_URL": "nats://n1:4222", "FACEMATCH_NATS_TLS_CA": str(authority(tmp_path).certificate)}
    settings = read(Settings, changed)
    assert list(encryption_findings(settings.nats, settings.s3)) == []


@pytest.mark.parametrize(
    "changed", [{"address": ""}, {"address": "::1"}, {"address": "10.0.0.1", "sslmode": "verify-full"}]
)
def test_a_database_that_nobody_can_pretend_to_be_is_no_warning(changed: dict[str, str]) -> None:
    """It is reached through a socket, on this machine, or shows a certificate of its own name."""
    facts = attrs.evolve(FACTS, **changed)  # type: ignore[arg-type]  # the parameters name what the class has
    assert list(server_findings(facts)) == []


@pytest.mark.parametrize(("enrolled", "status"), [(0, Status.WARNING), (1, Status.OK)])
def test_a_gallery_without_anybody_is_told(enrolled: int, status: Status) -> None:
    """Nobody could be named."""
    assert enrolment_finding(enrolled, "mine@1").status == status


@pytest.mark.parametrize(
    ("kept", "status", "detail"),
    [
        (0, Status.OK, "none"),
        (1, Status.WARNING, "1 letter: `facematch dead list` shows why"),
        (3000, Status.WARNING, "3,000 letters: `facematch dead list` shows why"),
    ],
)
def test_dead_letters_are_told_with_what_lists_them(kept: int, status: Status, detail: str) -> None:
    """Where there are any, somebody has to look at them."""
    assert dead_letters_finding(kept) == Finding("dead letters", status, detail)


@pytest.mark.parametrize(
    ("error", "detail"),
    [
        (FacematchError("not migrated"), "not migrated"),
        (KeyError("postgresql://me:secret@db"), "unexpected KeyError: 'postgresql://me:***@db'"),
    ],
)
async def test_an_error_of_one_check_is_what_it_found(error: Exception, detail: str) -> None:
    """Foreseen or not: what was found before stays, and the other checks go on; it tells no secrets."""
    before = Finding("database", Status.OK, "PostgreSQL 18")

    async def examination() -> AsyncIterator[Finding]:
        yield before
        raise error

    found = [finding async for finding in failures_found("database", examination())]
    assert found == [before, Finding("database", Status.FAILED, detail)]


@pytest.mark.parametrize(
    ("version", "status"), [((2, 10, 25), Status.WARNING), ((2, 10, 26), Status.OK), ((2, 11, 0), Status.OK)]
)
def test_a_nats_server_that_can_skip_jobs_is_a_warning(version: tuple[int, int, int], status: Status) -> None:
    """What is wrong with it is told, with the version that mends it, and what brings back skipped jobs."""
    found = broker_finding(version)
    assert (found.what, found.status) == ("message broker", status)
    advice = "before 2.10.26" in found.detail and "`facematch reconcile`" in found.detail
    assert advice is (status is Status.WARNING)


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("DATABASE_URL", "postgresql://app:pa55@staging/app\n", "postgresql://app:***@staging/app (from a file)"),
        ("S3_SECRET_KEY", "pa55", "*** (from a file)"),
    ],
)
def test_a_setting_from_a_file_is_shown_without_its_secrets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, content: str, told: str
) -> None:
    """Which server is asked can be seen, whether a URL is in the environment or in a file."""
    (tmp_path / "secret").write_text(content)
    monkeypatch.setenv(f"FACEMATCH_{name}_FILE", str(tmp_path / "secret"))
    [declared] = [declared for declared in variables(Settings) if declared.name == f"FACEMATCH_{name}"]
    assert shown(declared) == told
