"""Prometheus' own tool plays series through the alert rules."""

import subprocess
from pathlib import Path
from typing import Final

import pytest

from tests.debian import NotToBeHadError
from tests.promtool import promtool

SCENARIOS: Final = sorted(Path("infra/prometheus").glob("*.test.yaml"))


@pytest.fixture(scope="module")
def tool() -> str:
    """Return the tool, or say aloud that no alert was played through."""
    try:
        return promtool()
    except NotToBeHadError as error:
        pytest.skip(f"no alert rule was played through: {error}")


@pytest.mark.parametrize("scenarios", SCENARIOS, ids=lambda path: str(path.name))
def test_alerts_fire_when_they_should(scenarios: Path, tool: str) -> None:
    """Each alert fires in its trouble, and neither in a near miss nor in quiet operation."""
    done = subprocess.run([tool, "test", "rules", str(scenarios)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
