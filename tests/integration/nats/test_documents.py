"""The published documents say what the code does: AsyncAPI, JSON Schemas and the page for people."""

import json
from importlib.metadata import version
from pathlib import Path
from typing import Any

import attrs
import pytest
import yaml
from jsonschema import Draft202012Validator
from nats.aio.client import Client
from opentelemetry.trace import NonRecordingSpan, SpanContext, use_span

from adapters.nats_jetstream.dead_letters.publisher import JetStreamDeadLetters
from adapters.nats_jetstream.headers import ORIGINAL
from adapters.nats_jetstream.jobs.payload import MAX_BODY_BYTES, MAX_FACE_INDEX
from adapters.nats_jetstream.names import BrokerNames
from adapters.nats_jetstream.publishing.events import encode_event
from adapters.nats_jetstream.publishing.publisher import JetStreamResultPublisher
from domain.jobs import MatchJob
from domain.outcomes import OutcomeKind, Reason
from domain.records import Failed, JobRecord, Skipped
from tests.broker import provisioned, stored
from tests.contract.announcements.records import OUTCOMES, delivery, malformed, record

REFERENCE = Path("docs/reference")
DOCUMENT: dict[str, Any] = yaml.safe_load((REFERENCE / "asyncapi.yaml").read_text())
JOB = json.loads((REFERENCE / "schemas/job.json").read_text())
EVENT = json.loads((REFERENCE / "schemas/result-event.json").read_text())
PAGE = (REFERENCE / "messages.md").read_text()


def resolve(reference: str) -> Any:
    """Return what a reference within the document points at."""
    found: Any = DOCUMENT
    for step in reference.removeprefix("#/").split("/"):
        found = found[step]
    return found


def references(part: Any) -> list[str]:
    """Return every reference below a part of the document."""
    if isinstance(part, list):
        return [reference for item in part for reference in references(item)]
    if not isinstance(part, dict):
        return []
    own = [part["$ref"]] if "$ref" in part else []
    return own + [reference for value in part.values() for reference in references(value)]


def header_schema(message: str) -> dict[str, Any]:
    """Return the schema of a message's headers, complete in itself."""
    schema = json.loads(json.dumps(DOCUMENT["components"]["schemas"][f"{message}Headers"]))
    return {**schema, "components": DOCUMENT["components"]}


def events() -> list[JobRecord]:
    """Return a record of every kind."""
    every_reason = [record(Failed(reason) if reason.is_failure else Skipped(reason)) for reason in Reason]
    return [*(record(outcome) for outcome in OUTCOMES.values()), malformed(), *every_reason]


def test_every_reference_leads_somewhere() -> None:
    """Within the document, or to a schema beside it."""
    for reference in references(DOCUMENT):
        if reference.startswith("#/"):
            assert isinstance(resolve(reference), dict)
        else:
            Draft202012Validator.check_schema(json.loads((REFERENCE / reference).read_text()))


def test_the_version_is_the_products() -> None:
    """A release changes both."""
    assert DOCUMENT["info"]["version"] == version("facematch")


def test_the_channels_are_where_the_code_publishes() -> None:
    """Addresses, streams and consumer are the defaults of the settings."""
    names = BrokerNames()
    channels = DOCUMENT["channels"]
    addresses = {name: channel["address"] for name, channel in channels.items()}
    assert addresses == {
        "jobs": names.subject,
        **{kind.value: names.result_subject(kind) for kind in OutcomeKind},
        "dead": names.dead_subject,
    }
    streams = {name: channel["x-jetstream"]["stream"] for name, channel in channels.items()}
    assert streams == {
        "jobs": names.stream,
        **dict.fromkeys([kind.value for kind in OutcomeKind], names.results_stream),
        "dead": names.dead_stream,
    }
    assert channels["jobs"]["x-jetstream"]["consumer"]["durable"] == names.durable


async def test_the_streams_are_as_described(client: Client, names: BrokerNames) -> None:
    """What ``provision`` makes has the properties that each channel tells."""
    await provisioned(client, names, ack_wait_seconds=30)
    js = client.jetstream()
    ours = {"jobs": names.stream, "matched": names.results_stream, "dead": names.dead_stream}
    for channel, stream in ours.items():
        told = DOCUMENT["channels"][channel]["x-jetstream"]
        config = (await js.stream_info(stream)).config
        assert (told["retention"], told["storage"]) == (config.retention, config.storage)
        assert told["maxAgeDays"] * 86_400 == config.max_age
        assert told["duplicateWindowHours"] * 3600 == config.duplicate_window
    told = DOCUMENT["channels"]["jobs"]["x-jetstream"]["consumer"]
    consumer = (await js.consumer_info(names.stream, names.durable)).config
    assert (told["ackPolicy"], told["deliverPolicy"]) == (consumer.ack_policy, consumer.deliver_policy)
    assert (told["ackWaitSeconds"], told["maxDeliver"]) == (consumer.ack_wait, consumer.max_deliver)


def test_each_operation_does_what_the_service_does() -> None:
    """It receives jobs and sends all else, with the messages of the channel."""
    done = {
        (operation["channel"]["$ref"].rsplit("/", 1)[1], operation["action"])
        for operation in DOCUMENT["operations"].values()
    }
    assert done == {(name, "receive" if name == "jobs" else "send") for name in DOCUMENT["channels"]}


def test_the_enumerations_are_the_domains() -> None:
    """One list of words, for code and consumers alike."""
    definitions = EVENT["$defs"]
    assert EVENT["properties"]["outcome"]["enum"] == [kind.value for kind in OutcomeKind]
    assert definitions["reason_of_failed"]["enum"] == [r.value for r in Reason if r.is_failure]
    assert definitions["reason_of_skipped"]["enum"] == [r.value for r in Reason if not r.is_failure]
    buried = header_schema("deadLetter")["properties"]["Facematch-Reason"]["enum"]
    assert buried == [Reason.MALFORMED_PAYLOAD.value, *definitions["reason_of_failed"]["enum"]]


def test_the_fields_of_an_event_are_the_schemas() -> None:
    """In the same order, all required, and no other; but the schema allows for fields of a later release."""
    fields = list(json.loads(encode_event(record())))
    assert (fields, EVENT["required"]) == (list(EVENT["properties"]), list(EVENT["properties"]))
    assert Draft202012Validator(EVENT).is_valid({**EVENT["examples"][0], "of_a_later_release": 1})


@pytest.mark.parametrize("event", events(), ids=lambda event: f"{event.outcome.kind} {event.outcome.reason}")
def test_every_event_is_what_the_schema_describes(event: JobRecord) -> None:
    """Whatever the outcome and its reason."""
    Draft202012Validator(EVENT).validate(json.loads(encode_event(event)))


@pytest.mark.parametrize("example", EVENT["examples"])
def test_the_examples_are_events(example: dict[str, Any]) -> None:
    """What the schema shows is what it describes."""
    Draft202012Validator(EVENT).validate(example)


@pytest.mark.parametrize(
    "change",
    [
        {"outcome": "failed"},
        {"reason": "no_face"},
        {"reason": "storage_unavailable", "outcome": "skipped"},
        {"user_id": None},
        {"bbox": {"x1": 0, "y1": 0, "x2": 1}},
        {"occurred_at": "2026-01-02T03:04:05"},
        {"photo_id": "1"},
        {"embedding": [0.1]},
    ],
    ids=str,
)
def test_what_is_no_event_is_refused(change: dict[str, Any]) -> None:
    """The schema can say no: to outcomes that do not fit their reason, and to fields that must never be there."""
    event = json.loads(encode_event(record(OUTCOMES["matched"])))
    of_this_release = Draft202012Validator({**EVENT, "additionalProperties": False})
    assert not of_this_release.is_valid({**event, **change})


def test_the_fields_of_a_job_are_the_schemas() -> None:
    """The limits too."""
    assert list(JOB["properties"]) == [field.name for field in attrs.fields(MatchJob)]
    assert JOB["properties"]["face_index"]["maximum"] == MAX_FACE_INDEX
    assert str(MAX_BODY_BYTES) in JOB["description"]


async def test_the_headers_that_are_written_are_documented(client: Client, names: BrokerNames) -> None:
    """Those of an event and those of every kind of letter, as they are stored."""
    await provisioned(client, names)
    with use_span(NonRecordingSpan(SpanContext(0xABC, 0xDEF, is_remote=False))):
        await JetStreamResultPublisher(client, names).publish(record())
    [event] = await stored(client, names.results_stream)
    Draft202012Validator(header_schema("result")).validate(dict(event.headers or {}))
    letters = JetStreamDeadLetters(client, names)
    large = {"X-Large": "y" * 65_400, "X-Own": "kept", "Nats-Msg-Id": "of the publisher"}
    await letters.publish(await delivery(b"x" * client.max_payload, large), malformed(sequence=1))
    await letters.publish(await delivery(b"x"), record(OUTCOMES["failed"], sequence=2))
    written: set[str] = set()
    for letter in await stored(client, names.dead_stream):
        headers = dict(letter.headers or {})
        Draft202012Validator(header_schema("deadLetter")).validate(headers)
        written |= {name for name in headers if not name.startswith(("X-", ORIGINAL))}
    documented = set(header_schema("deadLetter")["properties"])
    assert written == documented - {"traceparent", "tracestate"}


def test_the_page_names_everything() -> None:
    """Every subject, stream, field and header that the documents for machines have is on the page for people."""
    names = BrokerNames()
    words = {
        *(getattr(names, field.name) for field in attrs.fields(BrokerNames)),
        names.dead_subject,
        *JOB["properties"],
        *EVENT["properties"],
        *header_schema("job")["properties"],
        *header_schema("result")["properties"],
        *header_schema("deadLetter")["properties"],
    }
    assert {word for word in words if word not in PAGE} == set()
