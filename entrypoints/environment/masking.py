"""How a secret setting is shown: not at all, or, of a URL, what tells one server from another."""

import re
from typing import Final

from domain.redaction import MASK

_HOST = r"(?:\[[0-9a-z:.%]+\]|[0-9a-z_.%-]*)(?::[0-9]+)?"
_URL: Final = re.compile(
    rf"(?P<scheme>[a-z][0-9a-z+.-]*)://(?:(?P<who>[^@/?\s]*)@)?"
    rf"(?P<where>{_HOST}(?:,{_HOST})*(?:/[0-9a-z_.~%-]*)?)(?:\?(?P<options>[^@]*))?",
    re.ASCII | re.IGNORECASE,
)
"""The parts of a URL, each of the letters that it may have: a second @ or a / too many may be a password's."""
_OPTION: Final = re.compile(
    "(?:host|hostaddr|user|dbname|sslrootcert)=[0-9a-z_.,:/~%-]*|(?:port|connect_timeout)=[0-9]+"
    "|sslmode=(?:disable|allow|prefer|require|verify-ca|verify-full)"
    "|target_session_attrs=(?:any|read-write|read-only|primary|standby|prefer-standby)",
    re.ASCII | re.IGNORECASE,
)
"""An option that is no secret, with a value that it can have."""
_NAME: Final = re.compile("[0-9a-z_.~%-]+", re.ASCII | re.IGNORECASE)


def hidden(_text: str) -> str:
    """Return what stands for a secret of which nothing may be shown."""
    return MASK


def url(text: str) -> str:
    """Return a URL without its secrets; nothing of it where a part of a password may be taken for something else.

    The user of a database is shown. That of any other server may be a token.
    """
    parts = _URL.fullmatch(text)
    if parts is None:
        return MASK
    who, options = parts["who"], parts["options"]
    name, colon, _ = (who or "").partition(":")
    is_shown = parts["scheme"].lower().startswith("postgres") and _NAME.fullmatch(name)
    user = "" if who is None else f"{name}:{MASK}@" if is_shown and colon else f"{name}@" if is_shown else f"{MASK}@"
    are_shown = options is not None and all(map(_OPTION.fullmatch, options.split("&")))
    query = "" if options is None else f"?{options}" if are_shown else f"?{MASK}"
    return f"{parts['scheme']}://{user}{parts['where']}{query}"


def urls(text: str) -> str:
    """Return the URLs of a comma-separated list in the same way; none of them where one is not understood."""
    shown = [url(one.strip()) for one in text.split(",") if one.strip()]
    return MASK if MASK in shown else ",".join(shown)
