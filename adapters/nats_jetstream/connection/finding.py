"""Finding streams by the subjects that they hold, whoever made them, and the consumer."""

from typing import Final

import nats.js.errors
from nats.js import JetStreamContext
from nats.js.api import ConsumerInfo

from adapters.nats_jetstream.connection.errors import translated
from domain.errors import MessagingUnavailableError

NO_MESSAGE: Final = 10037
"""JetStream's code for a sequence that holds nothing, whether deleted or not there yet."""


async def stream_of(js: JetStreamContext, subject: str) -> str:
    """Return the stream that holds the subject.

    Raises:
        MessagingUnavailableError: there is none, or no answer.

    """
    with translated("stream"):
        try:
            return await js.find_stream_name_by_subject(subject)
        except nats.js.errors.NotFoundError as error:
            message = f"no stream holds the subject {subject}: run `facematch provision`"
            raise MessagingUnavailableError(message) from error


async def consumer_of(js: JetStreamContext, stream: str, durable: str) -> ConsumerInfo:
    """Return how the stream's consumer of that name is.

    Raises:
        MessagingUnavailableError: there is none, or no answer.

    """
    with translated("consumer"):
        try:
            info: ConsumerInfo = await js.consumer_info(stream, durable)
        except nats.js.errors.NotFoundError as error:
            message = f"there is no consumer {durable} on stream {stream}: run `facematch provision`"
            raise MessagingUnavailableError(message) from error
    return info
