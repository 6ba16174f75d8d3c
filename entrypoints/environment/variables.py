"""Reading settings from environment variables: declared on attrs fields, read all at once, every problem told."""

import difflib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple, Protocol, TypeVar, runtime_checkable
from urllib.parse import parse_qsl, unquote, urlsplit, urlunsplit

import attrs

from domain.errors import FacematchError
from domain.redaction import MASK
from entrypoints.environment.masking import hidden

_METADATA = "facematch.variable"
_KEY_BEGINS = "-----BEGIN "
_PREFIX = "FACEMATCH_"
_CACHE = "FACEMATCH_CACHE"
_OF_KUBERNETES = re.compile(r"_SERVICE_(HOST|PORT)|_PORT_\d+_(TCP|UDP|SCTP)|_PORT=\w+://")
"""By such variables Kubernetes tells containers of a service called facematch."""
_SIMILAR = 0.8
_SECRET_PARAMETERS = ("password", "sslpassword")
T = TypeVar("T")


class Problem(NamedTuple):
    """One wrong variable: its full name, its value (masked where secret), and what is wrong with it."""

    variable: str
    value: str
    message: str


class SettingsError(FacematchError):
    """The environment holds wrong settings: all of them are in ``problems``."""

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__("; ".join(f"{p.variable}: {p.message}" for p in problems))
        self.problems = problems


@attrs.frozen
class Variable:
    """A documented environment variable; ``parse`` raises ValueError with a message for people."""

    name: str
    parse: Callable[[str], Any]
    help: str
    default: str
    secret: bool = False
    masked: Callable[[str], str] = hidden

    @property
    def allowed(self) -> str:
        """Which values the parser takes, in words; empty if it does not say."""
        return getattr(self.parse, "allowed", "")

    def show(self, text: str) -> str:
        """Return a value as it may be shown: secrets masked, passwords cut out of URLs.

        Keys are secrets, too, where they stand in the place of the name of their file.
        """
        if _KEY_BEGINS in text:
            return MASK
        if self.secret and text:
            return self.masked(text)
        return ",".join(without_password(part) for part in text.split(","))


def variable(
    name: str,
    parse: Callable[[str], Any],
    help_text: str,
    *,
    default: object,
    shown: str | None = None,
    secret: bool | Callable[[str], str] = False,
) -> Any:  # noqa: ANN401 - as attrs.field, so that the field keeps its own type
    """Declare an attrs field that is read from the environment variable ``name``; ``shown`` explains the default.

    Nothing is shown of a ``secret``, or what the given function leaves of it.
    """
    text = shown if shown is not None else "-" if default is None else str(default)
    masked = secret if callable(secret) else hidden
    described = Variable(name, parse, help_text, text, bool(secret), masked)
    return attrs.field(default=default, repr=not secret, metadata={_METADATA: described})


def section(settings_class: type) -> Any:  # noqa: ANN401 - as attrs.field
    """Declare an attrs field that is itself a class of variables."""
    return attrs.field(factory=settings_class, metadata={_METADATA: settings_class})


@runtime_checkable
class Checked(Protocol):
    """Settings that can contradict each other."""

    def contradictions(self) -> Iterable[Problem]:
        """Return what is wrong with values that are right one by one."""


def together(*pair: tuple[str, object | None]) -> Iterator[Problem]:
    """Yield a problem for each of two variables, given by name and value, that is missing while the other is set."""
    for (name, value), (other, other_value) in (pair, pair[::-1]):
        if value is None and other_value is not None:
            yield Problem(name, "", f"is missing, while {other} is set")


def variables(settings_class: type) -> list[Variable]:
    """Return every declared variable of an attrs class and of its sections."""
    found: list[Variable] = []
    for field in attrs.fields(settings_class):
        declared = field.metadata[_METADATA]
        found.extend([declared] if isinstance(declared, Variable) else variables(declared))
    return found


def is_set(declared: Variable, environ: Mapping[str, str]) -> bool:
    """Tell whether a variable, or the file that may hold it, is given."""
    return bool(environ.get(declared.name) or (declared.secret and environ.get(f"{declared.name}_FILE")))


def unknown(settings_class: type, environ: Mapping[str, str]) -> list[str]:
    """Return a sentence for each ``FACEMATCH_*`` variable that nobody reads."""
    declared = variables(settings_class)
    known = {_CACHE, *(v.name for v in declared), *(f"{v.name}_FILE" for v in declared if v.secret)}
    return [
        f"{name} is no setting and has no effect{_meant(name, known)}"
        for name, value in sorted(environ.items())
        if name.startswith(_PREFIX) and name not in known and not _OF_KUBERNETES.search(f"{name}={value}")
    ]


def _meant(name: str, known: Iterable[str]) -> str:
    similar = difflib.get_close_matches(name, known, 1, _SIMILAR)
    return f": is {similar[0]} meant?" if similar else ""


def secrets_of(settings: attrs.AttrsInstance) -> list[str]:
    """Return the texts in these settings that must never be shown."""
    found: list[str] = []
    for field in attrs.fields(type(settings)):
        declared, value = field.metadata[_METADATA], getattr(settings, field.name)
        if not isinstance(declared, Variable):
            found += secrets_of(value)
        elif declared.secret and value:
            found += [secret for text in ([value] if isinstance(value, str) else value) for secret in _secrets_in(text)]
    return found


def _secrets_in(text: str) -> list[str]:
    """Return a text that is a secret as a whole, or the credentials in a URL: password, token, secret parameters."""
    try:
        parts = urlsplit(text)
    except ValueError:
        return [text]
    if not parts.scheme or not parts.netloc:
        return [text]
    is_token = parts.username is not None and parts.password is None and not parts.scheme.startswith("postgres")
    found = [parts.password, parts.username if is_token else None]
    found += [value for name, value in parse_qsl(parts.query) if name in _SECRET_PARAMETERS]
    return [form for secret in found if secret for form in (secret, unquote(secret))]


def read(settings_class: type[T], environ: Mapping[str, str], also_wrong: Iterable[Problem] = ()) -> T:
    """Return the settings; a variable that is unset or empty has its default.

    Raises:
        SettingsError: with everything that is wrong, ``also_wrong`` with variables that are not among the settings
            included.

    """
    problems: list[Problem] = []
    settings = _read(settings_class, environ, problems)
    problems += also_wrong
    if problems:
        raise SettingsError(problems)
    return settings


def _read(settings_class: type[T], environ: Mapping[str, str], problems: list[Problem]) -> T:
    values: dict[str, Any] = {}
    for field in attrs.fields(settings_class):  # type: ignore[arg-type]
        declared = field.metadata[_METADATA]
        if not isinstance(declared, Variable):
            values[field.name] = _read(declared, environ, problems)
            continue
        try:
            text = given(declared, environ)
            if text:
                values[field.name] = declared.parse(text)
        except ValueError as error:
            problems.append(Problem(declared.name, declared.show(environ.get(declared.name, "")), str(error)))
    settings = settings_class(**values)
    if isinstance(settings, Checked):
        told = {problem.variable for problem in problems}
        problems.extend(problem for problem in settings.contradictions() if problem.variable not in told)
    return settings


def given(declared: Variable, environ: Mapping[str, str]) -> str:
    """Return the text of a variable, or of the file that holds it; empty where neither is set.

    Raises:
        ValueError: both are set, or the file cannot be read.

    """
    text = environ.get(declared.name, "").strip()
    path = environ.get(f"{declared.name}_FILE", "") if declared.secret else ""
    if not path:
        return text
    if text:
        raise ValueError(f"is given twice, here and by {declared.name}_FILE")
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeError) as error:
        raise ValueError(f"{declared.name}_FILE: cannot read {path} ({type(error).__name__})") from error


def without_password(text: str) -> str:
    """Return a URL with its user's password masked; anything else as it is, but for what stands before an @.

    Names of users are shown where they are no secrets: of a database and of a broker.
    """
    try:
        parts = urlsplit(text)
        secret = parts.password or (parts.username if parts.scheme == "nats" else None)
    except ValueError:
        return MASK if "@" in text else text
    if not parts.netloc and "@" in text:
        return f"{MASK}@{text.rpartition('@')[2]}"
    if not secret:
        return text
    user = parts.username if parts.password and not parts.scheme.startswith("http") else MASK
    host = parts.netloc.rpartition("@")[2]
    return urlunsplit(parts._replace(netloc=f"{user}:{MASK}@{host}" if parts.password else f"{user}@{host}"))
