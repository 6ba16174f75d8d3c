"""Each fetch from the object store as a span."""

from opentelemetry import trace
from opentelemetry.trace import SpanKind

from adapters.spans import spanned
from application.ports.photo_store import PhotoStore
from domain.errors import JobRejectedError
from domain.images import ImageRef

_TRACER = trace.get_tracer("facematch.object_store")


async def fetch_in_span(store: PhotoStore, ref: ImageRef, *, max_bytes: int, attempt: int) -> bytes:
    """Fetch within a CLIENT span, which says what came of it; a job that is rejected is no error of the store's."""
    attributes: dict[str, str | int] = {
        "rpc.system.name": "aws-api",
        "rpc.method": "S3/GetObject",
        "aws.s3.bucket": ref.bucket,
        "aws.s3.key": ref.key,
        "facematch.attempt": attempt,
    }
    with spanned(_TRACER, "S3.GetObject", SpanKind.CLIENT, attributes) as span:
        try:
            content = await store.fetch(ref, max_bytes=max_bytes)
        except JobRejectedError as error:
            span.set_attribute("facematch.reason", error.reason.value)
            raise
        span.set_attribute("facematch.image.bytes", len(content))
        return content
