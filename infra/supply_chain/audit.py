"""Known vulnerabilities of the locked packages, asked for with pip-audit.

A service that is away, or that a mirror does not pass on, knows of no vulnerability; and pip-audit then finds none,
with exit code 0. So each service is first asked about a release that is known to have one.
"""

import json
import subprocess
import sys
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any, Final

_VULNERABLE: Final = "pyyaml==5.3\n"
"""CVE-2020-14343 and others: arbitrary code from untrusted YAML."""
_SERVICES: Final = ("pypi", "osv")
NOT_AUDITED: Final = 3
"""The exit code where no service knows anything."""


def audit(lock: Path) -> int:
    """Print what is known of the packages in a lock, and return 0 for nothing, 1 for something, 3 for not audited."""
    with NamedTemporaryFile("w", suffix=".txt") as canary:
        canary.write(_VULNERABLE)
        canary.flush()
        for service in _SERVICES:
            asked = _pip_audit(service, Path(canary.name), "--no-deps", "--format=json")
            if tells_of_vulnerabilities(asked.stdout):
                answer = _pip_audit(service, lock, "--require-hashes", "--strict", "--desc=on")
                sys.stdout.write(answer.stdout)
                sys.stderr.write(answer.stderr)
                return min(answer.returncode, 1)
            sys.stderr.write(f"{service} does not know even that {_VULNERABLE.strip()} has vulnerabilities\n")
    sys.stderr.write("NOT AUDITED: no service for known vulnerabilities answers from here. Nothing was proven.\n")
    return NOT_AUDITED


def tells_of_vulnerabilities(report: str) -> bool:
    """Tell whether pip-audit's JSON names at least one; it is empty where pip-audit failed."""
    try:
        document: Any = json.loads(report)
    except ValueError:
        return False
    return any(package.get("vulns") for package in document["dependencies"])


def _pip_audit(service: str, requirements: Path, *options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pip_audit", "--requirement", str(requirements), "--disable-pip", *options]
    return subprocess.run(  # noqa: S603 - it is what this module is for
        [*command, "--vulnerability-service", service, "--progress-spinner=off"],
        check=False,
        capture_output=True,
        text=True,
    )
