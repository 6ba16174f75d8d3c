"""Publishing to a stream, confirmed, within a span."""

from nats.aio.client import Client
from nats.js.api import PubAck
from opentelemetry import trace
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from adapters.nats_jetstream.connection.asking import jetstream, retry_once, try_once
from adapters.nats_jetstream.connection.errors import translated
from adapters.nats_jetstream.headers import MESSAGE_ID
from adapters.nats_jetstream.names import BrokerNames
from adapters.spans import spanned

_TRACER = trace.get_tracer("facematch.nats")
_PROPAGATOR = TraceContextTextMapPropagator()
"""Not the global one, which is what ``OTEL_PROPAGATORS`` names: baggage is neither taken nor passed on."""


class ConfirmedPublisher:
    """What every publisher has in common."""

    def __init__(self, client: Client, names: BrokerNames) -> None:
        self._client = client
        self._js = jetstream(client)
        self._names = names

    async def _publish(
        self,
        subject: str,
        body: bytes,
        headers: dict[str, str],
        *,
        continue_trace: bool = True,
        traceparent: str | None = None,
        again: bool = True,
    ) -> PubAck:
        """Publish within a PRODUCER span and wait for the stream's confirmation.

        The headers need a :data:`MESSAGE_ID`, by which the stream knows a message that it has already. With
        ``continue_trace`` the message says that it belongs to the span. Outside of any trace the span belongs to that
        of ``traceparent``. With ``again`` it is sent once more where no answer comes.
        """
        context = None
        if traceparent and not trace.get_current_span().get_span_context().is_valid:
            context = _PROPAGATOR.extract({"traceparent": traceparent})
        attributes: dict[str, str | int] = {
            "messaging.system": "nats",
            "messaging.operation.name": "publish",
            "messaging.operation.type": "send",
            "messaging.destination.name": subject,
            "messaging.message.body.size": len(body),
            "messaging.message.id": headers[MESSAGE_ID],
        }
        with (
            translated(f"publish {subject}"),
            spanned(_TRACER, f"publish {subject}", trace.SpanKind.PRODUCER, attributes, context=context),
        ):
            if continue_trace:
                _PROPAGATOR.inject(headers)
            send = retry_once if again else try_once
            return await send(lambda seconds: self._js.publish(subject, body, seconds, headers=headers))
