"""The contracts that `lint-imports` checks leave nothing out."""

import tomllib
from importlib.metadata import files
from pathlib import Path
from typing import Any, Final

from packaging.requirements import Requirement

_PROJECT: Final[dict[str, Any]] = tomllib.loads(Path("pyproject.toml").read_text())
_CONTRACTS: Final[dict[str, dict[str, Any]]] = {
    contract["name"]: contract for contract in _PROJECT["tool"]["importlinter"]["contracts"]
}


def test_the_core_may_import_no_dependency() -> None:
    """Whatever the service needs is forbidden to it, but for what its classes are written with."""
    project = _PROJECT["project"]
    forbidden = set(_CONTRACTS["The core knows no technology"]["forbidden_modules"])
    needed = {Requirement(each).name for each in project["dependencies"] + project["optional-dependencies"]["openvino"]}
    modules = {name: {file.parts[0] for file in files(name) or ()} for name in needed}
    assert {name for name in needed if not modules[name] & forbidden} == {"attrs"}


def test_every_package_has_its_layer() -> None:
    """A new one beside the others has to be placed, too, which `exhaustive` cannot ask for at the top."""
    packages = {path.parent.name for path in Path().glob("*/__init__.py")}
    assert set(_CONTRACTS["Imports only point inward"]["layers"]) == packages
