"""The chosen embedder, tried where other settings are wrong."""

from pathlib import Path

import pytest

from entrypoints.environment import embedder
from entrypoints.environment.variables import Problem
from tests.own_models import tiny_document, written

OTHER = Problem("FACEMATCH_S3_SECURE", "maybe", "expected true or false")
MISSPELT = Problem("FACEMATCH_EMBEDDER", "custm", "there is no such embedder")


@pytest.mark.parametrize(("chosen", "told"), [("custom", OTHER), ("custm", MISSPELT)])
def test_a_wrong_description_is_told_beside_other_settings(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, chosen: str, told: Problem
) -> None:
    """Also where the name of the embedder is what is wrong."""
    file = written(tiny_document(tmp_path) | {"dimension": 0}, tmp_path)
    monkeypatch.setenv("FACEMATCH_EMBEDDER", chosen)
    monkeypatch.setenv("FACEMATCH_EMBEDDER_FILE", str(file))
    [problem] = embedder.problems([told])
    assert problem[:2] == ("FACEMATCH_EMBEDDER_FILE", str(file))
    assert f"described wrongly by {file}:\n  dimension: " in problem.message


@pytest.mark.parametrize(("chosen", "told"), [("custom", OTHER), ("custm", MISSPELT)])
def test_a_right_description_is_no_problem(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, chosen: str, told: Problem
) -> None:
    """Nor is one that nobody needs to give."""
    monkeypatch.setenv("FACEMATCH_EMBEDDER", chosen)
    monkeypatch.delenv("FACEMATCH_EMBEDDER_FILE", raising=False)
    assert list(embedder.problems([told])) == []
    monkeypatch.setenv("FACEMATCH_EMBEDDER_FILE", str(written(tiny_document(tmp_path), tmp_path)))
    assert list(embedder.problems([told])) == []


@pytest.mark.parametrize("chosen", ["dlib", ""])
def test_a_description_that_is_not_used_is_not_looked_at(monkeypatch: pytest.MonkeyPatch, chosen: str) -> None:
    """Another embedder does not need it."""
    monkeypatch.setenv("FACEMATCH_EMBEDDER", chosen)
    monkeypatch.setenv("FACEMATCH_EMBEDDER_FILE", "README.md")
    assert list(embedder.problems([OTHER])) == []
