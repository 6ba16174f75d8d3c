"""References that try to lead elsewhere: made of known tricks, in every combination, the same ones each time."""

import random
from collections.abc import Iterator

SCHEMES = (
    *[""] * 10, *["minio://"] * 10, "MINIO://", "minio:/", "minio:", "minio:///", "s3://", "http://",
    "https://", "file://", "ftp://", "data:", "//", "\\\\", "minio%3A//", "jar:file://", "minio://minio://",
)  # fmt: skip
BUCKETS = (
    *["images"] * 20, *["archive"] * 10, "private", "IMAGES", "Images", "images.", "images ", " images", ".images",
    "images%20", "images%2F..%2Fprivate", "images\\..\\private", "images:9000", "images@127.0.0.1", "user:pw@images",
    "127.0.0.1:9000", "[::1]:9000", "localhost", "169.254.169.254", "\u0456mages",
    "\uff49\uff4d\uff41\uff47\uff45\uff53", "i\u200dmages",
    "images\u200b", "image\u017f", "images\x00", "images?", "images#", "images;", "*", "..", ".", "",
    ".minio.sys", "images,archive", "%69mages", "images\u2044private",
)  # fmt: skip
PIECES = (
    "", "a", "b.jpg", "here.jpg", "inner", "..", ".", "...", "....", "%2e%2e", "%2E%2e", "%252e%252e", "..%2f",
    "%2f", "..%5c",
    "%5c", "..;", "..\u2024", "\u2024\u2024", "\uff0e\uff0e", "\u2025", "%c0%ae%c0%ae", "%00", "private",
    "secret.jpg",
    "?versionId=null", "?acl", "?policy", "?uploads", "&x=y", "?X-Amz-Signature=0", "#fragment", "+", " ",
    "  ", "%20", "%",
    "%zz", "\u00a0", "é", "e\u0301", "\u00df", "\U0001f600", "\U0001f468\u200d\U0001f469\u200d\U0001f467",
    "\u202egpj.exe",
    "\ufeff", "\u2028", "a\x00b", "a\nb", "a\r\nHost: evil", "\x7f", "\x85", "\x1b[31m", "\ud800", "\udfff",
    "~root", "$HOME",
    "${jndi:ldap://127.0.0.1/a}", "`id`", "$(id)", ";id", "|id", "'", '"', "<a>", "{x}", "[x]", "^", "*", "=",
    "@", "!", ":",
    ",", "-", "--help", "con", "nul.jpg", "http:", "x" * 200, "y" * 255, "é" * 120, "z" * 1024, "w" * 10_240,
    "/etc/passwd",
    "C:\\x", "@127.0.0.1", "localhost:1", "HTTP/1.1", " HTTP/1.1\r\nHost: x",
)  # fmt: skip
SEPARATORS = ("/", "/", "/", "/", "//", "\\", "/./", "/../", "%2f", "\u2215", "\uff0f", "")


def hostile_references(count: int, seed: int) -> Iterator[str]:
    """Yield ``count`` different references, the same ones for the same seed."""
    source = random.Random(seed)
    seen: set[str] = set()
    while len(seen) < count:
        text = _reference(source)
        if text not in seen:
            seen.add(text)
            yield text


def _reference(source: random.Random) -> str:
    pieces = source.choices(PIECES, k=source.randint(1, 4))
    key = pieces[0] + "".join(source.choice(SEPARATORS) + piece for piece in pieces[1:])
    scheme = source.choice(SCHEMES)
    text = f"{scheme}{source.choice(BUCKETS)}{source.choice(SEPARATORS)}{key}" if scheme else key
    if source.random() < 0.1:
        at = source.randrange(len(text) + 1)
        text = text[:at] + chr(source.choice((*range(0x100), 0x2044, 0x3000, 0xD83D, 0x1F4A9))) + text[at:]
    return text
