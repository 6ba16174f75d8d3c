"""Reading the stream of dead letters, and what is done about them. No consumer is made, nothing stays behind."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from datetime import datetime

import nats.js.errors
from nats.aio.client import Client
from nats.js.api import RawStreamMsg

from adapters.nats_jetstream.connection.asking import retry_once
from adapters.nats_jetstream.connection.errors import translated
from adapters.nats_jetstream.connection.finding import NO_MESSAGE, stream_of
from adapters.nats_jetstream.headers import (
    DELIVERIES,
    ERROR,
    MESSAGE_ID,
    OBEYED,
    OF_A_LETTER,
    OF_TRACES,
    REASON,
    REPLAY_OF,
    REPLAYED,
    SEQUENCE,
    TRACE,
    TRUNCATED_FROM,
    read_lines,
    trace_context,
)
from adapters.nats_jetstream.names import BrokerNames
from adapters.nats_jetstream.publishing.confirmed import ConfirmedPublisher
from application.ports.dead_letter_box import DeadLetter, Extent
from domain.errors import MessagingUnavailableError
from domain.jobs import JobKey

_AHEAD = 32
_NOT_SENT_AGAIN = {*OF_A_LETTER, REPLAY_OF.lower(), *OF_TRACES}


class JetStreamDeadLetterBox(ConfirmedPublisher):
    """Dead letters in whichever stream captures their subject; other messages in it are none of ours."""

    def __init__(self, client: Client, names: BrokerNames) -> None:
        super().__init__(client, names)
        self._found: str | None = None

    async def extent(self) -> Extent:
        """Look for the stream, which may be another one by now, and ask for its messages and last sequence."""
        subject = self._names.dead_subject
        stream = self._found = await stream_of(self._js, subject)
        with translated("dead letters"):
            state = (await self._js.stream_info(stream, subjects_filter=subject)).state
        return Extent((state.subjects or {}).get(subject, 0), state.last_seq)

    async def letters(self, *, up_to: int, since: datetime | None = None, after: int = 0) -> AsyncIterator[DeadLetter]:
        """Let the server look for the next letter, and ask for several of those that follow at once."""
        sequence = after + 1 if since is None else max(after + 1, await self._first_since(since, up_to))
        while sequence <= up_to:
            letter = await self._read(sequence, onward=True)
            if letter is None or letter.sequence > up_to:
                return
            yield letter
            following = range(letter.sequence + 1, min(letter.sequence + _AHEAD, up_to) + 1)
            for found in await asyncio.gather(*map(self._read, following)):
                if found is not None:
                    yield found
            sequence = following.stop

    async def find(self, sequence: int) -> DeadLetter | None:
        """Read it."""
        return await self._read(sequence)

    async def send_again(self, letter: DeadLetter) -> bool:
        """Publish body and headers as they came, under an id that belongs to this letter.

        What the broker would obey stays renamed: it would drop the job as a duplicate of the original, or refuse it.
        """
        ack = await self._publish(self._names.subject, letter.body, _headers_of_a_replay(letter))
        return not ack.duplicate

    async def discard(self, sequence: int) -> bool:
        """Delete the message, but do not overwrite it on the disk: the server takes very long for that."""
        stream = await self._stream()
        asked = json.dumps({"seq": sequence, "no_erase": True}).encode()
        with translated("delete a dead letter"):
            answer = await retry_once(
                lambda seconds: self._client.request(f"$JS.API.STREAM.MSG.DELETE.{stream}", asked, timeout=seconds)
            )
        end = json.loads(answer.data)
        if end.get("success"):
            return True
        if await self._read(sequence) is None:
            return False
        raise MessagingUnavailableError(f"NATS, delete a dead letter: {end.get('error', {}).get('description')}")

    async def _first_since(self, since: datetime, up_to: int) -> int:
        """Return a sequence at which letters of that time begin, by halving."""
        low, high = 1, up_to + 1
        while low < high:
            middle = (low + high) // 2
            letter = await self._read(middle, onward=True)
            if letter is not None and letter.sequence <= up_to and letter.stored_at < since:
                low = letter.sequence + 1
            else:
                high = middle
        return low

    async def _read(self, sequence: int, *, onward: bool = False) -> DeadLetter | None:
        """Return the letter of that sequence or, ``onward``, the next one from there; None where there is none."""
        stream, subject = await self._stream(), self._names.dead_subject
        with translated("read a dead letter"):
            try:
                message = await retry_once(
                    lambda seconds: self._client.jetstream(timeout=seconds).get_msg(
                        stream, sequence, subject=subject if onward else None, next=onward
                    )
                )
            except nats.js.errors.APIError as error:
                if error.err_code == NO_MESSAGE:
                    return None
                raise
        return _letter(message) if message.subject == subject else None

    async def _stream(self) -> str:
        if self._found is None:
            self._found = await stream_of(self._js, self._names.dead_subject)
        return self._found


def _letter(message: RawStreamMsg) -> DeadLetter:
    headers = read_lines(base64.b64decode(message.hdrs or b""))  # as they were sent: the client reads some otherwise
    if message.seq is None or message.time is None:
        raise TypeError("a stored message has a sequence and a time")
    return DeadLetter(
        sequence=message.seq,
        stored_at=message.time,
        reason=headers.get(REASON, ""),
        error=headers.get(ERROR, ""),
        deliveries=_number(headers.get(DELIVERIES)),
        job_sequence=_number(headers.get(SEQUENCE)),
        body=message.data or b"",
        headers=headers,
        truncated_from=_number(headers.get(TRUNCATED_FROM)),
        traceparent=headers.get(TRACE) or trace_context(headers).get("traceparent") or None,
    )


def _headers_of_a_replay(letter: DeadLetter) -> dict[str, str]:
    """Return the original's headers, what the new job is a replay of, and an id that the letter always gets."""
    kept = {name: value for name, value in letter.headers.items() if _is_sent_again(name.lower())}
    trace = {**trace_context(letter.headers), "traceparent": letter.traceparent}
    return {
        **kept,
        **{REPLAYED[name]: value for name, value in trace.items() if value},
        REPLAY_OF: str(letter.job_sequence or 0),
        MESSAGE_ID: f"facematch-replay-{JobKey(letter.sequence, letter.stored_at)}",
    }


def _is_sent_again(name: str) -> bool:
    """Whether a header is the original's; what the broker would obey was renamed there, or somebody else added it."""
    return name not in _NOT_SENT_AGAIN and not name.startswith(OBEYED)


def _number(text: str | None) -> int | None:
    return int(text) if text is not None and text.isascii() and text.isdecimal() else None
