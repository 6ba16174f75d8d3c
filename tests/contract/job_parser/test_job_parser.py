"""The parser of jobs understands exactly what the published schema describes, and never raises."""

import json
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from hypothesis_jsonschema import from_schema
from jsonschema import Draft202012Validator

from adapters.nats_jetstream.jobs.payload import MAX_BODY_BYTES, JsonJobParser, encode_job
from application.ports.job_queue import JobParser
from domain.jobs import MalformedJob, MatchJob

SCHEMA = json.loads(Path("docs/reference/schemas/job.json").read_text())
SCHEMA_ACCEPTS = Draft202012Validator(SCHEMA).is_valid
PHOTO = "0f0e0d0c-0b0a-4908-8706-050403020100"
parse = JsonJobParser().parse


def spelled_in_digits(document: dict[str, Any]) -> bool:
    """Tell whether integers are written as such: the schema's one blind spot, which its description names."""
    return not any(isinstance(document.get(name), float) for name in ("face_index", "faces_detected"))


def body_of(**fields: Any) -> bytes:
    """Return a body with a good ``photo_id`` and these fields."""
    return json.dumps({"photo_id": PHOTO, **fields}).encode()


hexadecimal = st.text("0123456789abcdefABCDEF", min_size=32, max_size=32)
uuids = hexadecimal.map(lambda text: f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}")
near_uuids = st.one_of(
    uuids,
    st.builds(
        lambda text, at, wrong: text[:at] + wrong + text[at + 1 :], uuids, st.integers(0, 35), st.text(max_size=2)
    ),
    uuids.map(lambda text: f"{text}\n"),
    uuids.map(lambda text: text.replace("-", "")),
    uuids.map(lambda text: f"{{{text}}}"),
    st.uuids().map(lambda value: value.urn),
)
numbers = st.one_of(
    st.integers(-3, 3),
    st.sampled_from([2**31 - 1, 2**31, 10**19, 10**20, 10**25, -(10**25), 0.0, -0.0, 1.0, 1.5, 1e30, True, False]),
)
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)
hostile = st.one_of(anything, numbers, near_uuids, st.text(st.characters(), max_size=30))
valid = {name: from_schema({**described, "$defs": SCHEMA["$defs"]}) for name, described in SCHEMA["properties"].items()}
described_jobs = st.builds(
    lambda extra, fields: {**extra, **fields},
    st.dictionaries(st.text().filter(lambda name: name not in SCHEMA["properties"]), anything, max_size=3),
    st.fixed_dictionaries(
        {name: valid[name] for name in SCHEMA["required"]},
        optional={name: strategy for name, strategy in valid.items() if name not in SCHEMA["required"]},
    ),
)
near_jobs = st.builds(
    lambda job, spoilt, gone: {name: value for name, value in {**job, **spoilt}.items() if name not in gone},
    described_jobs,
    st.dictionaries(st.sampled_from(sorted(SCHEMA["properties"])), hostile, max_size=2),
    st.sampled_from([(), (), (), ("photo_id",), ("image_ref", "face_index")]),
)


def test_it_is_a_job_parser() -> None:
    """The adapter satisfies the port."""
    parser: JobParser = JsonJobParser()
    body = body_of(image_ref="minio://images/a.jpg", face_index=3, faces_detected=1, job_id=PHOTO.upper(), more=[{}])
    assert parser.parse(body) == MatchJob(UUID(PHOTO), "minio://images/a.jpg", 3, 1, UUID(PHOTO))


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(described_jobs)
def test_what_the_schema_describes_is_a_job(document: dict[str, Any]) -> None:
    """Whatever the schema accepts is understood, with the values that were sent."""
    assert SCHEMA_ACCEPTS(document)
    job = parse(json.dumps(document).encode())
    if not spelled_in_digits(document):
        assert isinstance(job, MalformedJob)
        return
    assert isinstance(job, MatchJob)
    assert job.photo_id == UUID(document["photo_id"])
    assert job.image_ref == document.get("image_ref")
    assert job.face_index == document.get("face_index", 0)
    assert job.job_id == (UUID(document["job_id"]) if document.get("job_id") else None)


@settings(max_examples=300, deadline=None)
@given(near_jobs, st.booleans())
@example({"photo_id": PHOTO, "faces_detected": 10**25}, True)
@example({"photo_id": f"{PHOTO}\n"}, True)
@example({"photo_id": PHOTO, "face_index": 1.0}, True)
@example({"photo_id": PHOTO, "image_ref": "\ud800"}, True)
def test_the_schema_and_the_parser_agree(document: dict[str, Any], escaped: bool) -> None:  # noqa: FBT001 - drawn
    """What one refuses the other refuses, however near to a job it is, and however its characters are written."""
    body = json.dumps(document, ensure_ascii=escaped).encode("utf-8", "surrogatepass")
    sendable = escaped or body.decode("utf-8", "replace").encode() == body
    expected = sendable and SCHEMA_ACCEPTS(document) and spelled_in_digits(document)
    assert isinstance(parse(body), MatchJob) == expected


@given(st.one_of(st.binary(), st.text().map(str.encode), anything.map(lambda value: json.dumps(value).encode())))
@example(b"")
@example(b"null")
@example(b"[]")
@example(b'"' + PHOTO.encode() + b'"')
def test_nothing_raises(body: bytes) -> None:
    """Any bytes at all are a job or malformed with a reason that fits on a line."""
    result = parse(body)
    if isinstance(result, MalformedJob):
        assert result.problems
        assert all(problem and problem.isprintable() for problem in result.problems)


@given(st.builds(MatchJob, st.uuids(), st.text(st.characters()) | st.none(), st.integers(0, 2**31 - 1)))
def test_what_is_encoded_is_understood(job: MatchJob) -> None:
    """A job that the service itself publishes comes back the same, and is what the schema describes."""
    assert parse(encode_job(job)) == job
    assert SCHEMA_ACCEPTS(json.loads(encode_job(job)))


@pytest.mark.parametrize("example_job", SCHEMA["examples"])
def test_the_examples_are_jobs(example_job: dict[str, Any]) -> None:
    """What the schema shows is what works."""
    assert isinstance(parse(json.dumps(example_job).encode()), MatchJob)


@pytest.mark.parametrize(
    "digits", ["0", "2", "1" + "0" * 24, "9" * 60_000], ids=["0", "2", "25 digits", "60000 digits"]
)
def test_a_count_of_any_size_is_a_count(digits: str) -> None:
    """More faces than fit into any machine word are not one face, and no malformed job."""
    job = parse(b'{"photo_id": "%s", "faces_detected": %s}' % (PHOTO.encode(), digits.encode()))
    assert isinstance(job, MatchJob)
    assert job.faces_detected is not None
    assert job.faces_detected != 1


@pytest.mark.parametrize(
    "number", ["1.0", "1e0", "1.9", "-1", "2147483648", "1" + "0" * 24, "1e400", "true", "null", '"2"', "[]"]
)
def test_a_face_index_is_a_whole_number_in_digits(number: str) -> None:
    """Nothing is coerced; and what else could be read is kept for the event."""
    job = parse(b'{"photo_id": "%s", "face_index": %s}' % (PHOTO.encode(), number.encode()))
    assert isinstance(job, MalformedJob)
    assert (job.photo_id, job.face_index) == (UUID(PHOTO), None)


@pytest.mark.parametrize(
    "body",
    [
        b"\xef\xbb\xbf" + body_of(),
        b'{"photo_id": "%s", "image_ref": "a\x00b"}' % PHOTO.encode(),
        b'{"photo_id": "%s", "image_ref": "\xed\xa0\x80"}' % PHOTO.encode(),
        b'{"photo_id": "%s", "x": NaN}' % PHOTO.encode(),
        b'{"photo_id": "%s", "x": [-Infinity]}' % PHOTO.encode(),
        b'{"photo_id": "%s"} {}' % PHOTO.encode(),
        b"{'photo_id': '%s'}" % PHOTO.encode(),
        body_of().decode().encode("utf-16"),
        b'{"photo_id": "%s", "face_index": 01}' % PHOTO.encode(),
    ],
    ids=["BOM", "raw NUL", "surrogate in UTF-8", "NaN", "Infinity", "two values", "quotes", "UTF-16", "leading 0"],
)
def test_what_is_not_json_is_malformed(body: bytes) -> None:
    """JSON in UTF-8 is what RFC 8259 says, and no more."""
    assert isinstance(parse(body), MalformedJob)


@pytest.mark.parametrize("text", ["a\x00b", "\ud800", "\U0001f600", "  ", "ftp://x/y", "x" * 5000])
def test_any_string_is_an_image_ref(text: str) -> None:
    """Whether it can be used is for a later guardrail to say."""
    assert parse(body_of(image_ref=text)) == MatchJob(UUID(PHOTO), text)


@pytest.mark.parametrize("name", ["photo_id", "job_id"])
def test_a_lone_surrogate_is_no_uuid(name: str) -> None:
    """The problem names the field, and can be written anywhere."""
    job = parse(body_of(**{name: "\ud800"}))
    assert isinstance(job, MalformedJob)
    assert all(name in problem and problem.isascii() for problem in job.problems)


def test_of_a_repeated_key_the_last_counts() -> None:
    """As the schema's description says."""
    body = b'{"photo_id": 1, "photo_id": "%s", "face_index": 1, "face_index": 2}' % PHOTO.encode()
    assert parse(body) == MatchJob(UUID(PHOTO), face_index=2)


def test_every_problem_is_told_at_once() -> None:
    """Each with its place, none with the value that was sent."""
    job = parse(b'{"face_index": "secret-1", "faces_detected": "secret-2", "job_id": "secret-3"}')
    assert isinstance(job, MalformedJob)
    said = "; ".join(job.problems)
    assert all(name in said for name in ("photo_id", "face_index", "faces_detected", "job_id"))
    assert "secret" not in said


@pytest.mark.parametrize("face_index", [2**31, -1, 1.0, None, "2"])
def test_a_wrong_face_index_is_named_beside_other_problems(face_index: object) -> None:
    """Too large is told like any other mistake: with the field's name, and not hidden by another field's."""
    said = f"expected a whole number from 0 to {2**31 - 1} @ $.face_index"
    alone, beside = parse(body_of(face_index=face_index)), parse(body_of(face_index=face_index, image_ref=3))
    assert isinstance(alone, MalformedJob)
    assert isinstance(beside, MalformedJob)
    assert (alone.problems, set(beside.problems)) == ((said,), {said, "expected a string @ $.image_ref"})


def test_where_json_is_broken_is_said_in_a_sentence() -> None:
    """The parser's own words end with "at", too."""
    assert parse(b'{"x": "\n"}') == MalformedJob(
        ("the body is not JSON in UTF-8 (Invalid control character at character 7)",)
    )


@pytest.mark.parametrize("depth", [10, 500])
def test_what_is_ignored_may_be_deep(depth: int) -> None:
    """Properties that mean nothing here have any shape."""
    body = b'{"photo_id": "%s", "x": %s}' % (PHOTO.encode(), b"[" * depth + b"]" * depth)
    assert parse(body) == MatchJob(UUID(PHOTO))


@pytest.mark.parametrize("bracket", [b"[", b'{"a":'], ids=["lists", "objects"])
def test_no_depth_is_too_much_to_answer(bracket: bytes) -> None:
    """Brackets up to the limit of size are judged, not died of."""
    assert isinstance(parse(bracket * (MAX_BODY_BYTES // len(bracket))), MalformedJob)


def test_the_size_is_limited() -> None:
    """Exactly 64 KiB are accepted; one byte more is malformed and says so."""
    padding = MAX_BODY_BYTES - len(body_of(x=""))
    assert isinstance(parse(body_of(x="a" * padding)), MatchJob)
    assert parse(body_of(x="a" * (padding + 1))) == MalformedJob(
        (f"the body has {MAX_BODY_BYTES + 1} bytes, more than {MAX_BODY_BYTES}",)
    )
