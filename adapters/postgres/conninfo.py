"""How every connection is opened, whatever it is for."""

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

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
