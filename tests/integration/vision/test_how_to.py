"""The guide for adding an embedder, followed to the letter."""

import tomllib
from pathlib import Path

import pytest

from adapters.vision import registry
from application.ports.face_pipeline import Embed
from domain.faces import FaceEmbedding
from infra.photographs import Photographs
from tests.readers import pool_of
from tests.unit.docs.pages import page

GUIDE = page("docs/how-to/add-an-embedder.md")


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Install the guide's package as pip would: its module, and its metadata beside it."""
    [project], [module] = GUIDE.code("toml"), GUIDE.code("python")
    declared = tomllib.loads(project)["project"]
    metadata = tmp_path / f"{declared['name'].replace('-', '_')}-{declared['version']}.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {declared['name']}\nVersion: {declared['version']}\n"
    )
    [(group, offers)] = declared["entry-points"].items()
    lines = [f"[{group}]", *(f"{name} = {target}" for name, target in offers.items())]
    (metadata / "entry_points.txt").write_text("\n".join(lines))
    (tmp_path / "facematch_closer.py").write_text(module)
    monkeypatch.syspath_prepend(tmp_path)


@pytest.mark.usefixtures("installed")
async def test_the_embedder_of_the_guide_works(photographs: Photographs) -> None:
    """It is listed, loaded, used by the pool, and tells people apart; its id is its own."""
    assert "dlib-closer" in registry.known()
    pool = pool_of("dlib-closer", 1)
    embeddings: list[FaceEmbedding] = []
    try:
        await pool.start()
        for name in ("obama", "obama2", "biden"):
            [face] = (await pool.read(photographs.path(name).read_bytes(), embed=Embed.ONLY_FACE)).faces
            assert face.embedding is not None
            embeddings.append(face.embedding)
    finally:
        await pool.close()
    one, other, stranger = embeddings
    assert one.model == "dlib-closer@1"
    assert one.cosine_distance(other) < 0.07 < one.cosine_distance(stranger)
