"""Bodies that were never meant to be jobs, or nearly are: made of known tricks, the same ones each time."""

import json
import random
from collections.abc import Callable, Iterator
from typing import Final

from adapters.nats_jetstream.jobs.payload import MAX_BODY_BYTES
from tests.hostile.references import hostile_references

CANARY: Final = "canary-5b1d"
"""Stands in values and names; nothing that is said of a body may repeat it."""

Make = Callable[[random.Random], bytes]
_FIELDS = ("photo_id", "image_ref", "face_index", "faces_detected", "job_id", "x", CANARY, "", "PHOTO_ID", "photo_id ")
_REFERENCES = tuple(hostile_references(500, seed=3))
_NUMBERS = (
    "0", "1", "-1", "-0", "00", "01", "+1", "1.", ".5", "1.0", "1e0", "1E+2", "1e400", "-1e400", "1e-400",
    "0x10", "1_000",
    "2147483647", "2147483648", "9223372036854775808", "1" + "0" * 400, "-" + "9" * 5000, "0." + "3" * 5000, "9" * 20,
    "9" * 21, "1e" + "9" * 50, "NaN", "Infinity", "-Infinity", "nan", "inf", "\u0661", "\uff11",
)  # fmt: skip
_WORDS = ("null", "true", "false", "None", "True", "undefined", "[]", "{}", "[{}]", '""', "''", '" "', '"\\u0000"')
_TEXTS = (
    '"\\ud800"', '"\\udfff\\ud800"', '"\\ud83d\\ude00"', '"\\u0000\\u0001"', '"\\x41"', '"\\', '"\\u12',
    '"\n"', '"\t"',
    '"unfinished', f'"{CANARY}"', json.dumps(CANARY * 300), '"\U0001f4a9"', '"\u202e\u2028"',
    '"\\r\\nNats-Msg-Id: x"',
)  # fmt: skip
_BROKEN_UTF8 = (
    b"\xff", b"\xfe\xff", b"\x80", b"\xc0\x80", b"\xc0\xaf", b"\xe0\x80\xaf", b"\xed\xa0\x80", b"\xed\xb0\x80",
    b"\xf4\x90\x80\x80",
    b"\xf8\x88\x80\x80\x80", b"\xe2\x82", b"\xf0\x9f\x92", b"\xc3", b"\x00", b"\xef\xbb\xbf", b"\xef\xbf\xbe",
)  # fmt: skip
_BOMBS = (
    "[",
    '{"a":',
    '[{"x":',
    "[[],",
    '{"":[',
    '"',
    "\\",
    " ",
    "\n",
    "0",
    "-",
    "{",
    "}",
    "]",
    ",",
    '"a":1,',
    "/*",
    "1,",
)


def hostile_payloads(count: int, seed: int) -> Iterator[bytes]:
    """Yield so many bodies, the same ones for the same seed, each maker's in turn."""
    source = random.Random(seed)
    for number in range(count):
        yield _MAKERS[number % len(_MAKERS)](source)


def _uuid(source: random.Random) -> str:
    digits = f"{source.getrandbits(128):032x}"
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def _near_uuid(source: random.Random) -> str:
    good = _uuid(source)
    return source.choice(
        [good, good, good.upper(), good[:-1], good + "0", f"{{{good}}}", f"urn:uuid:{good}", good.replace("-", ""),
         good.replace("-", "_"), f" {good}", good[:-1] + "g", good[:-1] + "\uff11", good.replace("-",
         "\u2010"), "", CANARY]
    )  # fmt: skip


def _value(source: random.Random) -> str:
    """Return the text of a value, or of what somebody may take for one."""
    return source.choice(
        [
            source.choice(_NUMBERS),
            source.choice(_WORDS),
            source.choice(_TEXTS),
            json.dumps(_near_uuid(source)),
            json.dumps(source.choice(_REFERENCES), ensure_ascii=source.random() < 0.9),
            f"[{source.choice(_NUMBERS)}, {source.choice(_WORDS)}]",
            f'{{"{source.choice(_FIELDS)}": {source.choice(_TEXTS)}}}',
        ]
    )


def _text(pairs: list[tuple[str, str]]) -> bytes:
    inner = ", ".join(f"{json.dumps(name)}: {value}" for name, value in pairs)
    return f"{{{inner}}}".encode("utf-8", "surrogatepass")


def _job(source: random.Random, *spoilt: tuple[str, str]) -> bytes:
    """Return a good job, its fields in any order, and the given ones among them."""
    pairs = [("photo_id", json.dumps(_uuid(source))), ("image_ref", json.dumps(source.choice(_REFERENCES)))]
    pairs += source.sample([("face_index", "3"), ("faces_detected", "1"), ("job_id", "null")], source.randint(0, 3))
    names = {name for name, _ in spoilt}
    pairs = [(name, value) for name, value in pairs if name not in names] + list(spoilt)
    source.shuffle(pairs)
    return _text(pairs)


def _good(source: random.Random) -> bytes:
    return _job(source)


def _of_wrong_types(source: random.Random) -> bytes:
    return _job(source, *((source.choice(_FIELDS), _value(source)) for _ in range(source.randint(1, 3))))


def _of_anything(source: random.Random) -> bytes:
    return _text([(source.choice(_FIELDS), _value(source)) for _ in range(source.randint(0, 8))])


def _no_object(source: random.Random) -> bytes:
    return source.choice([_value(source).encode("utf-8", "surrogatepass"), b"[" + _good(source) + b"]", b""])


def _with_a_name_twice(source: random.Random) -> bytes:
    name = source.choice(_FIELDS[:5])
    return _job(source, (name, _value(source)), (name, _value(source)))


def _damaged(source: random.Random) -> bytes:
    """Return a job with some of its bytes changed, left out, doubled or made up."""
    body = bytearray(_good(source))
    for _ in range(source.randint(1, 4)):
        at = source.randrange(len(body))
        length = source.choice([1, 1, 1, 2, 8, 40])
        body[at : at + source.choice([0, length])] = source.choice(
            [
                b"",
                source.randbytes(length),
                bytes(body[at : at + length]) * 2,
                source.choice(b'"{}[],:\\ \n').to_bytes(),
            ]
        )
        if not body:
            break
    return bytes(body)


def _cut(source: random.Random) -> bytes:
    body = _good(source)
    return body[: source.randrange(len(body))]


def _of_broken_text(source: random.Random) -> bytes:
    body, broken = _good(source), source.choice(_BROKEN_UTF8)
    at = source.choice([0, len(body), source.randrange(len(body))])
    return body[:at] + broken + body[at:]


def _in_another_encoding(source: random.Random) -> bytes:
    encoding = source.choice(["utf-16", "utf-16-le", "utf-32", "utf-8-sig", "utf-7", "cp037", "latin-1"])
    return _good(source).decode("utf-8").encode(encoding, "replace")


def _noise(source: random.Random) -> bytes:
    return source.randbytes(source.choice([1, 2, 3, 16, 300, 5000]))


def _bomb(source: random.Random) -> bytes:
    """Return as many brackets, quotes or digits as fit, alone, in a job, or closed again."""
    unit = source.choice(_BOMBS)
    size = source.choice([100, 900, 1100, 5000, MAX_BODY_BYTES // len(unit)])
    bomb = unit * size
    closed = "[" * size + "]" * size
    return source.choice([bomb, f'{{"photo_id": "{_uuid(source)}", "x": {bomb}', closed, f'{{"x": {closed}}}']).encode()


def _of_the_largest_size(source: random.Random) -> bytes:
    """Return a job that just is, or just is no more, of the size that is allowed."""
    body = _job(source)
    room = MAX_BODY_BYTES + source.choice([-1, 0, 1, 2, 70_000]) - len(body)
    padding = source.choice([" ", "\n", "\t"]) * room
    members = "".join(f'"{number}":0,' for number in range(room // 9))[: max(0, room - 10)].rpartition(",")[0]
    return source.choice([body + padding.encode(), padding.encode() + body, b"{" + members.encode() + b"," + body[1:]])


_MAKERS: Final[tuple[Make, ...]] = (
    _good, _of_wrong_types, _of_wrong_types, _of_anything, _no_object, _with_a_name_twice, _damaged, _damaged,
    _damaged, _cut,
    _of_broken_text, _in_another_encoding, _noise, _bomb, _of_the_largest_size,
)  # fmt: skip
