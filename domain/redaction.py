"""What may be told of an error: everything but credentials and embeddings, whoever wrote the words."""

import re

MASK = "***"
_NUMBER = r"-?\d{0,9}\.\d{0,20}(?:e[+-]?\d{1,3})?"
RULES = (  # none of them may take more than linear time: strangers choose what some texts say
    # the password of scheme://user:password@host, or all that stands there: a user alone may be a token
    (re.compile(r"(\b[a-z][a-z0-9+.-]{0,19}://(?:[^\s:/@]*:)?)[^\s/]*@", re.IGNORECASE), rf"\1{MASK}@"),
    (
        re.compile(
            r"\b((?:password|passwd|secret|secret_?key|token|api_?key|sig|signature|credential)\s*=\s*)"
            r"(?:'[^']*'|\"[^\"]*\"|[^\s&;,'\"]+)",
            re.IGNORECASE,
        ),
        rf"\1{MASK}",
    ),
    (re.compile(r"\b(authorization\s*[:=]\s*)(?:\w+\s+)?[^\s,]+", re.IGNORECASE), rf"\1{MASK}"),
    # a vector, however it is written; boxes have names between their four numbers
    (re.compile(rf"{_NUMBER}(?:[,\s]+{_NUMBER}){{3,}}", re.IGNORECASE), MASK),
)
"""Patterns and what takes their place."""
_HARMLESS = re.compile(r"[^\s=:,]*")
"""What no rule can apply to: most of what is told is one word or number, and there are many of them."""


def redact(text: str) -> str:
    """Return the text without what it must not tell."""
    if _HARMLESS.fullmatch(text):
        return text
    for pattern, replacement in RULES:
        text = pattern.sub(replacement, text)
    return text
