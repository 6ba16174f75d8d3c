"""Under which licence each part is, and whether that is allowed."""

import tomllib
from importlib import metadata
from pathlib import Path
from typing import Final, Self

import attrs
from license_expression import ExpressionError, ParseError, get_spdx_licensing

_POLICY: Final = Path(__file__).with_name("licences.toml")
_OF_CLASSIFIER: Final = {
    "License :: OSI Approved :: Apache Software License": "Apache-2.0",
    "License :: OSI Approved :: ISC License (ISCL)": "ISC",
    "License :: OSI Approved :: MIT License": "MIT",
}
"""Classifiers that leave no doubt; "BSD License", say, does not tell of how many clauses."""
_SPDX: Final = get_spdx_licensing()


@attrs.frozen
class Policy:
    """Which licences are allowed, and those of packages whose metadata does not tell."""

    allowed: frozenset[str]
    read: dict[str, str]

    @classmethod
    def kept(cls) -> Self:
        """Return the one in the repository."""
        said = tomllib.loads(_POLICY.read_text(encoding="utf-8"))
        return cls(frozenset(said["allowed"]), said["read"])

    def licence_of(self, package: str) -> str | None:
        """Return an installed package's licence as an SPDX expression, or None where nobody has said it."""
        told = metadata.metadata(package)
        expression = _first(told, "License-Expression") or self.read.get(package)
        if expression:
            return expression
        classified = {
            _OF_CLASSIFIER.get(line) for line in told.get_all("Classifier") or () if line.startswith("License")
        }
        if len(classified) == 1 and (known := classified.pop()):
            return known
        licence = _first(told, "License")
        return licence if _is_spdx(licence) else None

    def allows(self, expression: str) -> bool:
        """Tell whether one of the alternatives of an SPDX expression is allowed with all that it demands."""
        tree = _SPDX.parse(expression)
        if tree is None:
            return False
        literals = _SPDX.license_symbols(tree)
        true, false = _SPDX.TRUE, _SPDX.FALSE
        granted = {symbol: true if symbol.render() in self.allowed else false for symbol in literals}
        return bool(tree.subs(granted, simplify=True).simplify() == true)


def _first(told: metadata.PackageMetadata, field: str) -> str:
    return next(iter(told.get_all(field) or ()), "")


def _is_spdx(text: str) -> bool:
    try:
        return _SPDX.parse(text, validate=True) is not None
    except (ExpressionError, ParseError):
        return False
