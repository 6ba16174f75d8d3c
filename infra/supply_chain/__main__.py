"""Tell what the product is made of: ``python -m infra.supply_chain licences | sbom | audit``."""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

from infra.supply_chain.audit import audit
from infra.supply_chain.licences import Policy
from infra.supply_chain.parts import packages, weights
from infra.supply_chain.sbom import bill_of_materials

LOCK: Final = Path(__file__).resolve().parents[2] / "requirements.lock"


def licences() -> int:
    """Print every part with its licence; return 1 if one is unknown or not allowed."""
    policy = Policy.kept()
    rows = [(package.name, package.version, policy.licence_of(package.name)) for package in packages(LOCK)]
    rows += [(one.name, ", ".join(embedders), one.licence) for one, embedders in weights().items()]
    refused = [row for row in rows if row[2] is None or not policy.allows(row[2])]
    for name, version, licence in rows:
        sys.stdout.write(f"{name:<42} {version:<26} {licence or 'unknown'}\n")
    for name, _, licence in refused:
        sys.stderr.write(
            f"{name}: {licence or 'unknown'} is not among the licences in infra/supply_chain/licences.toml\n"
        )
    sys.stdout.write(f"{len(rows)} parts, {len(refused)} under a licence that is unknown or not allowed.\n")
    return 1 if refused else 0


def sbom() -> int:
    """Print the bill of materials."""
    sys.stdout.write(bill_of_materials(packages(LOCK), weights(), Policy.kept()) + "\n")
    return 0


def main() -> int:
    """Run the program and return its exit code."""
    parser = argparse.ArgumentParser(prog="python -m infra.supply_chain", description=(__doc__ or "").partition(":")[0])
    parser.add_argument("what", choices=["licences", "sbom", "audit"])
    tells: dict[str, Callable[[], int]] = {"licences": licences, "sbom": sbom, "audit": lambda: audit(LOCK)}
    return tells[parser.parse_args().what]()


if __name__ == "__main__":
    sys.exit(main())
