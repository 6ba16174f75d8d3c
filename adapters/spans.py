"""How a span ends with an error: by a word, never by a text, which may name a photograph or quote a row."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from opentelemetry.context import Context
from opentelemetry.trace import Span, SpanKind, Status, StatusCode, Tracer

from domain.errors import AttemptFailedError, JobRejectedError
from domain.outcomes import Reason

Failures = type[Exception] | tuple[type[Exception], ...]


@contextmanager
def spanned(
    tracer: Tracer,
    name: str,
    kind: SpanKind,
    attributes: Mapping[str, str | int] | None = None,
    *,
    context: Context | None = None,
    failures: Failures = Exception,
) -> Iterator[Span]:
    """Make a span current that fails with the block, by one of ``failures``; a job that is rejected is none."""
    with tracer.start_as_current_span(
        name, context, kind, attributes, record_exception=False, set_status_on_exception=False
    ) as span:
        try:
            yield span
        except JobRejectedError:
            raise
        except failures as error:
            fail(span, error)
            raise


def fail(span: Span, why: Reason | BaseException) -> None:
    """Mark a span as failed, by the reason; an error that has none is told by its type alone."""
    reason = why.reason if isinstance(why, AttemptFailedError) else why
    word = reason.value if isinstance(reason, Reason) else None
    span.set_status(Status(StatusCode.ERROR, word))
    span.set_attribute("error.type", word or type(why).__name__)
