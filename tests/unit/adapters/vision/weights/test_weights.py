"""The weights that the embedders name are those that are loaded, or none are."""

import re
from pathlib import Path

import pytest

from adapters.vision.guard import load
from adapters.vision.pipelines import dlib_pipeline, mediapipe_pipeline
from adapters.vision.weights import provided as weights
from adapters.vision.weights.provided import BLAZEFACE, FIVE_POINTS, RECOGNISER, installed
from application.ports.face_pipeline import ImageBudget, Weights
from domain.errors import EmbedderUnavailableError

_FILES = (RECOGNISER, FIVE_POINTS, BLAZEFACE)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder of right weights; it is the only one that is looked into."""
    for one in _FILES:
        (tmp_path / one.name).write_bytes(installed(one).read_bytes())
    monkeypatch.setattr(weights, "_folders", lambda: iter([tmp_path]))
    return tmp_path


def exchange(file: Path) -> None:
    """Turn over one bit in the middle of the file."""
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


def test_every_file_that_an_embedder_names_has_its_digest() -> None:
    """The installed files are those that version, list of embedders and bill of materials tell."""
    named = {one for one in (*dlib_pipeline.info.weights, *mediapipe_pipeline.info.weights) if one.sha256}
    assert named == set(_FILES)
    assert [installed(one).name for one in _FILES] == [one.name for one in _FILES]


@pytest.mark.parametrize(
    ("embedder", "exchanged"),
    [
        ("dlib", RECOGNISER),
        ("dlib", FIVE_POINTS),
        ("mediapipe", RECOGNISER),
        ("mediapipe", FIVE_POINTS),
        ("mediapipe", BLAZEFACE),
    ],
    ids=lambda value: value.name if isinstance(value, Weights) else value,
)
def test_an_embedder_is_not_loaded_with_other_weights(folder: Path, embedder: str, exchanged: Weights) -> None:
    """A single bit is enough; the error names the file, both digests, and what to do."""
    file = folder / exchanged.name
    exchange(file)
    said = rf"{re.escape(str(file))} does not hold .* is [0-9a-f]{{64}}, not {exchanged.sha256}\. .*Install .* again"
    with pytest.raises(EmbedderUnavailableError, match=said):
        load(embedder, ImageBudget(), f"{embedder}@2")


def test_a_kept_graph_does_not_stand_in_for_other_weights(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the right graph lies in the cache, the file is compared nevertheless."""
    monkeypatch.setenv("FACEMATCH_CACHE", str(folder / "cache"))
    load("dlib", ImageBudget(), "dlib@2")
    exchange(folder / RECOGNISER.name)
    with pytest.raises(EmbedderUnavailableError, match=RECOGNISER.name):
        load("dlib", ImageBudget(), "dlib@2")


def test_a_file_that_is_missing_is_told(folder: Path) -> None:
    """The error says what to install."""
    (folder / FIVE_POINTS.name).unlink()
    with pytest.raises(EmbedderUnavailableError, match=f"{FIVE_POINTS.name} was not found: install the package"):
        load("dlib", ImageBudget(), "dlib@2")
