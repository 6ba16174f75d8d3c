"""Embedders are found by their entry points: ours, and those of any package that is installed."""

from pathlib import Path

import pytest

from adapters.vision import registry
from application.ports.face_pipeline import Embed
from tests.integration.vision.conftest import StartPool


def test_ours_are_known() -> None:
    """All pipelines of the product, and nobody else's where nothing else is installed."""
    assert {"custom", "dlib", "mediapipe"} <= set(registry.known())
    assert not any(name.startswith("hostile") for name in registry.known())


@pytest.mark.usefixtures("third_party")
def test_an_installed_one_is_known_and_can_be_loaded() -> None:
    """It stands beside ours, and says who it is without loading a model."""
    assert {"dlib", "mediapipe", "hostile"} <= set(registry.known())
    assert registry.load("hostile").info.id == "hostile@7"


async def test_an_installed_one_is_used_by_the_pool(start_pool: StartPool) -> None:
    """Its embeddings come from another process."""
    pool = await start_pool("hostile")
    [face] = (await pool.read(b"hello", embed=Embed.ONLY_FACE)).faces
    assert face.embedding is not None
    assert (face.embedding.model, face.embedding.vector) == ("hostile@7", (1.0, 5.0, 0.5))


@pytest.mark.usefixtures("third_party")
@pytest.mark.parametrize("name", ["insightface", "", "DLIB"])
def test_an_unknown_one_lists_the_known(name: str) -> None:
    """The message tells what could have been meant."""
    with pytest.raises(
        registry.UnknownEmbedderError, match=f"'{name}'; installed are: custom, dlib, hostile, .*mediapipe"
    ):
        registry.load(name)


@pytest.mark.usefixtures("third_party")
@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("not-importable", "cannot be imported: ModuleNotFoundError: No module named 'facematch_hostile_missing'"),
        ("not-there", "cannot be imported: AttributeError: .*nothing"),
        ("not-a-factory", "is no factory: it must be callable and have `info: EmbedderInfo`"),
        ("without-info", "is no factory: it must be callable and have `info: EmbedderInfo`"),
        ("measured-otherwise", "wants its embeddings compared by 'euclidean'; only 'cosine' is supported"),
    ],
)
def test_a_broken_package_is_named(name: str, words: str) -> None:
    """The message says which embedder, where its package points to, and what is wrong there."""
    with pytest.raises(registry.BrokenEmbedderError, match=rf"embedder '{name}' \(facematch_hostile\S+\) {words}"):
        registry.load(name)


@pytest.mark.usefixtures("third_party")
def test_a_name_belongs_to_one_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody takes the place of somebody else's embedder unnoticed."""
    metadata = tmp_path / "impostor-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: impostor\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text("[facematch.embedders]\nhostile = impostor:pipeline\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(registry.BrokenEmbedderError, match=r"several packages .* facematch_hostile:pipeline, impostor"):
        registry.load("hostile")
    assert registry.load("dlib").info.id.startswith("dlib@")
