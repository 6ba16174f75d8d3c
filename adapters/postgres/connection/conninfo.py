"""How every connection is opened, whatever it is for."""

import re
from typing import Any, Final
from urllib.parse import parse_qsl, urlsplit

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.pq import Conninfo

from domain.errors import FacematchError

_DEFAULTS: dict[str, str | int] = {
    "application_name": "facematch",
    "client_encoding": "UTF8",
    "connect_timeout": 5,
    # a server that vanished without a word is noticed within seconds, not hours
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 15_000,
    # of several servers the primary; and a replica or a read-only server counts as away
    "target_session_attrs": "read-write",
}
_WORDS: Final = {
    "sslmode": ("disable", "allow", "prefer", "require", "verify-ca", "verify-full"),
    "sslnegotiation": ("postgres", "direct"),
    "channel_binding": ("disable", "prefer", "require"),
    "gssencmode": ("disable", "prefer", "require"),
    "target_session_attrs": ("any", "read-write", "read-only", "primary", "standby", "prefer-standby"),
    "load_balance_hosts": ("disable", "random"),
}
"""Options that take one of a few words; any other is found out only when a connection is made."""
_NUMBERS: Final = (
    "connect_timeout",
    "keepalives",
    "keepalives_idle",
    "keepalives_interval",
    "keepalives_count",
    "tcp_user_timeout",
)


def checked_options(url: str) -> dict[str, Any]:
    """Return what a URL says, where its options, behind its question mark, are those of a connection.

    Raises:
        ValueError: one is none, or its value is; it is named, unless what is taken for it may be part of a password.

    """
    try:
        given = conninfo_to_dict(url)
    except psycopg.ProgrammingError:
        query = urlsplit(url).query
        known = {option.keyword.decode() for option in Conninfo.get_defaults()}
        unknown = [name for name, _ in parse_qsl(query, keep_blank_values=True) if name not in known]
        if unknown and "@" not in query:
            raise ValueError(
                f"{', '.join(unknown)}: no option of a connection, such as sslmode or connect_timeout; settings of the "
                "server are given as options=-c%20NAME%3DVALUE"
            ) from None
        raise ValueError(
            "expected options such as ?sslmode=require behind the database; a = in a value is %3D"
        ) from None
    for name, words in _WORDS.items():
        if name in given and given[name] not in words:
            raise ValueError(f"{name}: expected one of {', '.join(words)}")
    for name in _NUMBERS:
        if name in given and not re.fullmatch("-?[0-9]+", str(given[name])):
            raise ValueError(f"{name}: expected a whole number")
    return given


def connection_string(url: str) -> str:
    """Return what to connect with: the URL's own options win over the defaults.

    Raises:
        FacematchError: the URL cannot be understood; what it says is not repeated, for it may hold the password.

    """
    try:
        given = conninfo_to_dict(url)
    except psycopg.ProgrammingError:
        raise FacematchError(
            "the database URL cannot be understood: expected postgresql://user:password@host:port/database, "
            "where a % in the password is written %25, an @ %40 and a / %2F"
        ) from None
    return make_conninfo(url, **{name: value for name, value in _DEFAULTS.items() if name not in given})


def database_name(conninfo: str) -> str:
    """Return which database a connection string names; empty where the server decides."""
    return str(conninfo_to_dict(conninfo).get("dbname", ""))
