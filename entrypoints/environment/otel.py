"""A look at the standard ``OTEL_*`` variables, which OpenTelemetry's SDK reads by itself and often forgives in silence.

What they may be is said by https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/ and, where
it differs, by the SDK for Python: its exporters' timeouts are in seconds.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from urllib.parse import unquote, urlsplit

from entrypoints.environment import parsing as p
from entrypoints.environment.variables import Problem, Variable, without_password

_OTLP = "OTEL_EXPORTER_OTLP"
_SIGNALS = ("", "_TRACES", "_METRICS")
_DAY_MILLISECONDS = 86_400_000
_SPANS = p.integer(1, 1_000_000)
_BATCH = ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "512")
_QUEUE = ("OTEL_BSP_MAX_QUEUE_SIZE", "2048")
"""Names and the SDK's defaults."""
_LIMITS = (
    "OTEL_ATTRIBUTE_COUNT_LIMIT",
    "OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT",
    "OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT",
    "OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT",
    "OTEL_SPAN_EVENT_COUNT_LIMIT",
    "OTEL_SPAN_LINK_COUNT_LIMIT",
    "OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT",
    "OTEL_LINK_ATTRIBUTE_COUNT_LIMIT",
)
_HEADER_NAME = re.compile(r"[A-Za-z0-9_.-]+")
_SHORTEST_SECRET = 8
"""Headers also hold words, such as a tenant's name, that must not be masked wherever they stand."""


def _endpoint(value: str) -> str:
    if "://" not in value:
        p.address(value)
        return value
    parts = urlsplit(value)
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.port == 0:
        raise ValueError("expected http://host:port or https://host:port")
    return value


def _attributes(value: str) -> str:
    for pair in filter(None, map(str.strip, value.split(","))):
        name, equals, _ = pair.partition("=")
        if not equals or not name.strip():
            raise ValueError("expected name=value, several separated by commas")
    return value


def _headers(value: str) -> str:
    for pair in filter(None, map(str.strip, value.split(","))):
        name, equals, content = pair.partition("=")
        if not equals or not _HEADER_NAME.fullmatch(name.strip()) or not unquote(content).isprintable():
            raise ValueError("expected name=value, several separated by commas, in ASCII, the values percent-encoded")
    return value


_PER_SIGNAL: dict[str, Callable[[str], object]] = {
    "ENDPOINT": _endpoint,
    "PROTOCOL": p.choice("grpc", "http/protobuf"),
    "COMPRESSION": p.choice("none", "gzip", "deflate"),
    "HEADERS": _headers,
    "TIMEOUT": p.number(0.001, 3600),
    "INSECURE": p.choice("true", "false"),
    "CERTIFICATE": p.certificates,
    "CLIENT_CERTIFICATE": p.certificates,
    "CLIENT_KEY": p.private_key,
}
_ONCE: dict[str, Callable[[str], object]] = {
    "OTEL_TRACES_EXPORTER": p.choice("otlp", "none"),
    "OTEL_METRICS_EXPORTER": p.choice("otlp", "none"),
    "OTEL_SDK_DISABLED": p.choice("true", "false"),
    "OTEL_TRACES_SAMPLER": p.choice(
        "always_on",
        "always_off",
        "traceidratio",
        "parentbased_always_on",
        "parentbased_always_off",
        "parentbased_traceidratio",
    ),
    "OTEL_TRACES_SAMPLER_ARG": p.number(0, 1),
    "OTEL_BSP_SCHEDULE_DELAY": p.integer(1, _DAY_MILLISECONDS),
    "OTEL_BSP_EXPORT_TIMEOUT": p.integer(1, _DAY_MILLISECONDS),
    _QUEUE[0]: _SPANS,
    _BATCH[0]: _SPANS,
    "OTEL_METRIC_EXPORT_INTERVAL": p.number(1, _DAY_MILLISECONDS),
    "OTEL_METRIC_EXPORT_TIMEOUT": p.number(1, _DAY_MILLISECONDS),
    "OTEL_METRICS_EXEMPLAR_FILTER": p.choice("trace_based", "always_on", "always_off"),
    "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE": p.choice("cumulative", "delta", "lowmemory"),
    "OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION": p.choice(
        "explicit_bucket_histogram", "base2_exponential_bucket_histogram"
    ),
    "OTEL_RESOURCE_ATTRIBUTES": _attributes,
    **dict.fromkeys(_LIMITS, p.integer(0, 2**31 - 1)),
}
VARIABLES = tuple(
    Variable(name, parse, "", "-", secret=name.endswith("_HEADERS"))
    for name, parse in {
        **{f"{_OTLP}{signal}_{name}": parse for name, parse in _PER_SIGNAL.items() for signal in _SIGNALS},
        **_ONCE,
    }.items()
)


def problems(environ: Mapping[str, str]) -> Iterator[Problem]:
    """Yield what is wrong with the variables that are set."""
    wrong = list(_wrong_values(environ))
    yield from wrong
    told = {problem.variable for problem in wrong}
    yield from (problem for problem in dict.fromkeys(_contradictions(environ)) if problem.variable not in told)


def secrets_of(environ: Mapping[str, str]) -> list[str]:
    """Return the texts in these variables that must never be shown: what is sent as headers, and words of it."""
    values = [
        pair.partition("=")[2].strip()
        for signal in _SIGNALS
        for pair in environ.get(f"{_OTLP}{signal}_HEADERS", "").split(",")
    ]
    words = [word for value in values for form in (value, unquote(value)) for word in (form, *form.split())]
    return [word for word in words if len(word) >= _SHORTEST_SECRET]


def _wrong_values(environ: Mapping[str, str]) -> Iterator[Problem]:
    for variable in VARIABLES:
        text = environ.get(variable.name, "").strip()
        try:
            if text:
                variable.parse(text)
        except ValueError as error:
            yield Problem(variable.name, variable.show(text), str(error))


def _contradictions(environ: Mapping[str, str]) -> Iterator[Problem]:
    for signal in _SIGNALS[1:]:
        protocol, _ = _in_force(environ, signal, "PROTOCOL")
        compression, by = _in_force(environ, signal, "COMPRESSION")
        if protocol != "http/protobuf" and compression == "deflate":
            yield Problem(by, compression, "gRPC knows none and gzip only")
        endpoint, by = _in_force(environ, signal, "ENDPOINT")
        if protocol == "http/protobuf" and endpoint and "://" not in endpoint:
            yield Problem(by, without_password(endpoint), "HTTP wants http://host:port or https://host:port")
    batch, queue = (environ.get(name, "").strip() or default for name, default in (_BATCH, _QUEUE))
    with suppress(ValueError):
        if _SPANS(batch) > _SPANS(queue):
            yield Problem(_BATCH[0], batch, f"is more than {_QUEUE[0]}, {queue}")


def _in_force(environ: Mapping[str, str], signal: str, name: str) -> tuple[str, str]:
    """Return the value for a signal, in small letters, and the variable that it comes from: its own goes first."""
    own, shared = f"{_OTLP}{signal}_{name}", f"{_OTLP}_{name}"
    source = own if environ.get(own, "").strip() else shared
    return environ.get(source, "").strip().lower(), source
