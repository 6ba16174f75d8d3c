"""What is known of the parts that run: their licences, the bill of materials, and what an audit may claim."""

import json
import os
import subprocess
import sys
from typing import Any

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from infra.supply_chain import __main__ as supply_chain
from infra.supply_chain.audit import NOT_AUDITED, tells_of_vulnerabilities
from infra.supply_chain.licences import Policy
from infra.supply_chain.parts import UnlockedPartError, packages, weights
from infra.supply_chain.sbom import bill_of_materials

_POLICY = Policy(frozenset({"MIT", "Zlib"}), {"contourpy": "BSD-3-Clause"})


def test_every_part_that_runs_is_under_an_allowed_licence(capsys: pytest.CaptureFixture[str]) -> None:
    """Drivers, what they need in turn, and the weights of the embedders are all listed."""
    assert supply_chain.licences() == 0
    told = capsys.readouterr()
    assert told.err == ""
    listed = {line.split()[0] for line in told.out.splitlines()}
    assert {"nats-py", "psycopg-binary", "pycparser", "openvino", "face_detection_full_range_sparse.tflite"} <= listed
    assert {"pytest", "mkdocs", "facematch"} & listed == set()


@pytest.mark.parametrize(
    ("expression", "allowed"),
    [
        ("MIT", True),
        ("MIT AND Zlib", True),
        ("MIT OR GPL-3.0-only", True),
        ("MIT AND GPL-3.0-only", False),
        ("Zlib AND (GPL-3.0-only OR MIT)", True),
        ("GPL-3.0-only", False),
        ("GPL-2.0-only WITH Classpath-exception-2.0", False),
    ],
)
def test_of_alternatives_one_is_enough_and_of_several_at_once_all_are_needed(expression: str, *, allowed: bool) -> None:
    """As SPDX means its expressions."""
    assert _POLICY.allows(expression) == allowed


def test_a_licence_that_is_unknown_or_not_allowed_fails(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each is named: by its licence where that is known, and nobody guesses how many clauses a "BSD License" has."""
    monkeypatch.setattr(Policy, "kept", lambda: _POLICY)
    assert supply_chain.licences() == 1
    told = capsys.readouterr().err
    assert "contourpy: BSD-3-Clause is not among" in told
    assert "cycler: unknown is not among" in told
    assert "shape_predictor_5_face_landmarks.dat: CC0-1.0 is not among" in told
    assert "attrs:" not in told


def test_the_bill_of_materials_is_valid_and_whole() -> None:
    """Every part has its licence and its digests, and each package what it needs."""
    parts = packages(supply_chain.LOCK)
    written = bill_of_materials(parts, weights(), Policy.kept())
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(written) is None
    document: dict[str, Any] = json.loads(written)
    components = {component["bom-ref"]: component for component in document["components"]}
    assert set(components) == {part.name for part in parts} | {one.name for one in weights()}
    assert [name for name, component in components.items() if not component.get("licenses")] == []
    undigested = [name for name, component in components.items() if not component.get("hashes")]
    assert undigested == ["frontal_face_detector"]
    needs = {one["ref"]: set(one.get("dependsOn", ())) for one in document["dependencies"]}
    assert {"minio", "psycopg", "face_detection_full_range_sparse.tflite"} <= needs["facematch"]
    assert "pycryptodome" in needs["minio"]


def test_what_is_not_locked_is_refused(tmp_path: Any) -> None:
    """A bill of what happens to be installed would say nothing of the release."""
    lock = tmp_path / "requirements.lock"
    lock.write_text("attrs==1.0 \\\n    --hash=sha256:" + "0" * 64 + "\n", encoding="utf-8")
    with pytest.raises(UnlockedPartError, match="make setup"):
        packages(lock)


def test_an_audit_where_nobody_can_be_asked_does_not_pass() -> None:
    """It says so, and ends with a code of its own."""
    unreachable = os.environ | {"HTTPS_PROXY": "http://127.0.0.1:1", "NO_PROXY": ""}
    command = [sys.executable, "-m", "infra.supply_chain", "audit"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False, env=unreachable)
    assert done.returncode == NOT_AUDITED
    assert "NOT AUDITED" in done.stderr


@pytest.mark.parametrize(
    ("report", "told"),
    [
        ('{"dependencies": [{"name": "pyyaml", "version": "5.3", "vulns": [{"id": "PYSEC-2021-142"}]}]}', True),
        ('{"dependencies": [{"name": "pyyaml", "version": "5.3", "vulns": []}]}', False),
        (
            '{"dependencies": [{"name": "pyyaml", "skip_reason": "Dependency not found and could not be audited"}]}',
            False,
        ),
        ("", False),
    ],
)
def test_a_service_is_believed_only_if_it_knows_a_vulnerability(report: str, *, told: bool) -> None:
    """What was skipped, and what was found to have none, looks the same in pip-audit's exit code."""
    assert tells_of_vulnerabilities(report) == told
