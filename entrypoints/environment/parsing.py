"""Parsers of single settings: from text to a value, or a ValueError that says what is expected."""

import math
import os
import re
from collections.abc import Callable, Mapping
from decimal import Decimal
from ipaddress import IPv6Address
from pathlib import Path
from typing import Generic, TypeVar
from urllib.parse import urlsplit

import attrs

from adapters.object_store.bucket_names import check_bucket_name
from adapters.system.files import check_regular
from adapters.vision import registry
from domain.decision import FixedThreshold
from domain.errors import FacematchError
from domain.evaluation.calibrating import MeasuredCalibration

T = TypeVar("T")
_TRUE = {"true", "1", "yes", "on"}
_FALSE = {"false", "0", "no", "off"}
_MAX_PORT = 65535
_MOST_DIGITS = 20
_PORT = re.compile(r":[^\]]*$")
_NO_HOST = re.compile(r"[\s@/?#]")
"""What stands in no host; before an @ there would be a password."""
_LABEL = re.compile(r"[A-Za-z0-9]([A-Za-z0-9_-]{0,61}[A-Za-z0-9])?")
_SERVER = re.compile(rf"({_LABEL.pattern}\.)*{_LABEL.pattern}\.?")
_NO_ESCAPE = re.compile("%(?![0-9A-Fa-f]{2})")
_POSTGRES_HOST = r"(?:\[[^\]/?@]*\]|[^:/?,@\[]*)(?::[0-9]*)?"
_POSTGRES_URL = re.compile(rf"[a-z]+://(?:[^@/?]*@)?{_POSTGRES_HOST}(?:,{_POSTGRES_HOST})*(?:/[^?@]*)?(?:\?.*)?$")


@attrs.frozen
class Limited(Generic[T]):
    """A parser that says in words which values it takes."""

    parse: Callable[[str], T]
    allowed: str

    def __call__(self, value: str) -> T:
        """Return the value, or raise ValueError."""
        return self.parse(value)


def text(value: str) -> str:
    """Return the text as it is."""
    return value


def _boolean(value: str) -> bool:
    if value.lower() in _TRUE | _FALSE:
        return value.lower() in _TRUE
    raise ValueError("expected true or false")


boolean = Limited(_boolean, "true, false")
"""Returns the truth value of the usual words."""


def integer(minimum: int, maximum: int) -> Limited[int]:
    """Return a parser of whole numbers in a range, both ends included."""

    def parse(value: str) -> int:
        digits = value.isascii() and value.removeprefix("-").isdigit() and len(value) <= _MOST_DIGITS
        if digits and minimum <= int(value) <= maximum:
            return int(value)
        raise ValueError(f"expected a whole number from {minimum} to {maximum}")

    return Limited(parse, f"{minimum} to {maximum}")


def number(minimum: float, maximum: float) -> Limited[float]:
    """Return a parser of finite numbers in a range, both ends included."""
    allowed = " to ".join(f"{Decimal(f'{end:g}'):f}" for end in (minimum, maximum))

    def parse(value: str) -> float:
        try:
            parsed = float(value)
        except ValueError:
            parsed = math.nan
        if minimum <= parsed <= maximum:
            return parsed
        raise ValueError(f"expected a number from {allowed}")

    return Limited(parse, allowed)


def choice(*words: str) -> Limited[str]:
    """Return a parser of one of several words."""

    def parse(value: str) -> str:
        if value.lower() in words:
            return value.lower()
        raise ValueError(f"expected one of {', '.join(words)}")

    return Limited(parse, ", ".join(words))


def words(value: str) -> tuple[str, ...]:
    """Return the parts of a comma-separated list."""
    return tuple(part.strip() for part in value.split(",") if part.strip())


def address(value: str) -> tuple[str, int]:
    """Return host and port of ``host:port``."""
    host, _, port = value.rpartition(":")
    if "://" in value:
        raise ValueError("expected host:port, without a scheme")
    if not host or _NO_HOST.search(host) or not port.isdecimal() or int(port) > _MAX_PORT:
        raise ValueError("expected host:port, such as 127.0.0.1:8080")
    return host.strip("[]"), int(port)


def endpoint(value: str) -> str:
    """Return ``host:port`` (or a host) of a server after checking it."""
    host, port = address(value) if _PORT.search(value) else (value.strip("[]"), None)
    if "/" in value:
        raise ValueError("expected host:port, without a path")
    if port == 0 or not (_is_ipv6(host) if "[" in value else _SERVER.fullmatch(host)):
        raise ValueError("expected host:port, such as s3.example:9000")
    return value


def _is_ipv6(host: str) -> bool:
    try:
        return bool(IPv6Address(host))
    except ValueError:
        return False


def region(value: str) -> str:
    """Return the name of a region: a word, as in the name of a host."""
    if not _LABEL.fullmatch(value):
        raise ValueError("expected a word such as us-east-1")
    return value


def bucket(value: str) -> str:
    """Return the name of a bucket."""
    check_bucket_name(value)
    return value


def buckets(value: str) -> tuple[str, ...]:
    """Return the names of a comma-separated list, which has some."""
    names = words(value)
    if not names:
        raise ValueError("expected names of buckets, separated by commas")
    return tuple(map(bucket, names))


def nats_urls(value: str) -> tuple[str, ...]:
    """Return the servers of a comma-separated list."""
    urls = words(value)
    if not urls or not all(map(_is_nats_url, urls)):
        raise ValueError("expected nats://host:port or tls://host:port, several separated by commas")
    return urls


def _is_nats_url(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return url.startswith(("nats://", "tls://")) and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def postgres_url(value: str) -> str:
    """Return a PostgreSQL URL after a look at its scheme, its escapes and its options."""
    if not value.startswith(("postgresql://", "postgres://")):
        raise ValueError("expected postgresql://user@host:port/database")
    if _NO_ESCAPE.search(value) or not _POSTGRES_URL.match(value):  # else a part of the password is taken for a host
        raise ValueError("a % in the password is written %25, an @ %40, a / %2F and a ? %3F")
    if "?" in value:
        from adapters.postgres.connection.conninfo import checked_options  # noqa: PLC0415 - the driver takes its time

        _check_certificates(checked_options(value))
    return value


def _check_certificates(options: Mapping[str, str]) -> None:
    """Look at files that are there; libpq can do without some of them, and they may come."""
    for name in ("sslrootcert", "sslcert"):
        path = Path(options.get(name, ""))
        if os.access(path, os.R_OK) and path.is_file():
            try:
                certificates(str(path))
            except ValueError as error:
                raise ValueError(f"{name}: {error}") from error


def file(value: str) -> Path:
    """Return the path of a file that can be read."""
    path = Path(value)
    try:
        check_regular(path)
        with path.open("rb"):
            return path
    except OSError as error:
        raise ValueError(f"cannot read this file ({error.strerror})") from error


def certificates(value: str) -> Path:
    """Return the path of a file of certificates."""
    from adapters.system.certificates import check_certificates  # noqa: PLC0415 - only TLS needs it

    path = file(value)
    check_certificates(path)
    return path


def private_key(value: str) -> Path:
    """Return the path of a file with a private key."""
    from adapters.system.certificates import check_private_key  # noqa: PLC0415 - only TLS needs it

    path = file(value)
    check_private_key(path)
    return path


def nats_credentials(value: str) -> Path:
    """Return the path of a credentials file."""
    from adapters.nats_jetstream.connection.credentials import check_credentials  # noqa: PLC0415 - the driver's keys

    path = file(value)
    check_credentials(path)
    return path


def calibration(value: str) -> MeasuredCalibration:
    """Return what a calibration file holds."""
    from adapters.evaluation.calibration_file import read_calibration  # noqa: PLC0415 - cattrs takes its time

    try:
        return read_calibration(file(value))
    except FacematchError as error:
        raise ValueError(str(error)) from error


def broker_name(value: str) -> str:
    """Return the name of a stream or consumer; the broker allows no white space, dots, wildcards and slashes."""
    if re.search(r"[\s.*>/\\]", value):
        raise ValueError("expected a name without white space and without any of . * > / \\")
    return value


def subject(value: str) -> str:
    """Return a subject that one can publish to: words separated by dots, without wildcards."""
    if not re.fullmatch(r"[^\s.*>]+(\.[^\s.*>]+)*", value):
        raise ValueError("expected words separated by dots, without wildcards")
    return value


def embedder(value: str) -> str:
    """Return the name of an embedder that is installed."""
    if value not in registry.known():
        raise ValueError(f"there is no such embedder; installed are: {', '.join(registry.known())}")
    return value


def _distance(value: str) -> FixedThreshold:
    if value.lower() == "none":
        return FixedThreshold(None)
    try:
        return FixedThreshold(number(0, 2)(value))
    except ValueError as error:
        raise ValueError("expected a cosine distance from 0 to 2, or none") from error


distance = Limited(_distance, "0 to 2, none")
"""Returns what accepts a cosine distance up to that one, or any if the word is ``none``."""
