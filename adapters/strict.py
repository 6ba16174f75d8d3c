"""Documents from outside, structured strictly: nothing is coerced, and what was expected is said in words."""

import json
import sys
from collections.abc import Callable, Mapping
from typing import Any, NoReturn

import cattrs

Hook = Callable[[Any, Any], Any]


def expected(words: str, test: Callable[[Any], object]) -> Hook:
    """Return a hook that lets values pass, as they are, which the test lets pass."""

    def hook(value: Any, _type: object) -> Any:  # noqa: ANN401 - documents hold anything
        if test(value):
            return value
        raise ValueError(f"expected {words}")

    return hook


def is_number(value: object, least: float = -sys.float_info.max, most: float = sys.float_info.max) -> bool:
    """Tell whether this is a number in a range, both ends included; true and false are none."""
    return isinstance(value, int | float) and not isinstance(value, bool) and least <= value <= most


_HOOKS: Mapping[Any, Hook] = {
    str: expected("a string", lambda value: isinstance(value, str)),
    int: expected("a whole number of 0 or more", lambda value: type(value) is int and value >= 0),
}


def strict_converter(hooks: Mapping[Any, Hook], *, forbid_extra_keys: bool = False) -> cattrs.Converter:
    """Return what structures by these hooks, and by hooks for strings and for whole numbers of 0 or more."""
    converter = cattrs.Converter(detailed_validation=True, forbid_extra_keys=forbid_extra_keys)
    for kind, hook in {**_HOOKS, **hooks}.items():
        converter.register_structure_hook(kind, hook)
    return converter


def problem(error: BaseException, _type: type | None) -> str:
    """Return what an error of structuring says to people."""
    if isinstance(error, KeyError):
        return "required field missing"
    return str(error) if isinstance(error, ValueError) else "wrong type"


def json_document(text: str | bytes, parse_int: Callable[[str], int] = int) -> object:
    """Return what JSON says; NaN and infinities, which Python would take, are none.

    Raises:
        ValueError, RecursionError: it is none.

    """
    document: object = json.loads(text, parse_constant=_refuse_constant, parse_int=parse_int)
    return document


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")
