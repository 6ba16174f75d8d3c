"""The folder of readings: who may look into it, and what happens to what is damaged."""

import stat
from pathlib import Path

import pytest

from adapters.evaluation.kept_readings import FolderOfReadings, KeptReadingsError
from application.ports.face_pipeline import Embed
from domain.faces import BoundingBox, DetectedFace, FaceEmbedding, PhotoReading

READING = PhotoReading(9, 9, (DetectedFace(BoundingBox(1, 1, 2, 2), 0.5, FaceEmbedding("mine@1", (1.0,))),))


def only_file(folder: Path) -> Path:
    """Return the one file that is somewhere in it."""
    [file] = [path for path in folder.rglob("*") if path.is_file()]
    return file


async def test_nobody_else_may_look(tmp_path: Path) -> None:
    """Folders are the owner's alone, and so are files: what is in them is biometric data."""
    await FolderOfReadings(tmp_path / "deep" / "kept", "mine@1", "1.0").keep(b"photo", READING, embed=Embed.ALL)
    modes = {stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "deep" / "kept").rglob("*") if path.is_dir()}
    file = only_file(tmp_path)
    assert modes | {stat.S_IMODE((tmp_path / "deep" / "kept").stat().st_mode)} == {0o700}
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_a_folder_that_others_may_look_into_is_refused(tmp_path: Path) -> None:
    """It is not changed: its owner may have a reason."""
    tmp_path.chmod(0o750)
    with pytest.raises(KeptReadingsError, match="chmod 700"):
        FolderOfReadings(tmp_path, "mine@1", "1.0")
    assert stat.S_IMODE(tmp_path.stat().st_mode) == 0o750


async def test_embedders_do_not_share(tmp_path: Path) -> None:
    """What one has read is not known to another, whatever characters are in its name."""
    await FolderOfReadings(tmp_path, "mine/../own@1", "1.0").keep(b"photo", READING, embed=Embed.ALL)
    assert await FolderOfReadings(tmp_path, "mine@1", "1.0").find(b"photo", embed=Embed.ALL) is None
    assert await FolderOfReadings(tmp_path, "own@1", "1.0").find(b"photo", embed=Embed.ALL) is None
    found = await FolderOfReadings(tmp_path, "mine/../own@1", "1.0").find(b"photo", embed=Embed.ALL)
    assert found is not None


async def test_states_of_facematch_do_not_share(tmp_path: Path) -> None:
    """A detector that finds other faces keeps the embedder's id: what an earlier state has read is not known."""
    await FolderOfReadings(tmp_path, "mine@1", "1.0").keep(b"photo", READING, embed=Embed.ALL)
    assert await FolderOfReadings(tmp_path, "mine@1", "1.1").find(b"photo", embed=Embed.ALL) is None
    assert await FolderOfReadings(tmp_path, "mine@1", "1.0").find(b"photo", embed=Embed.ALL) == READING


@pytest.mark.parametrize(
    "damaged",
    [
        b"",
        b"{",
        b"[]",
        b'{"width": 9}',
        b'{"width": 9, "height": 9, "faces": [{"box": [2, 1, 1, 2], "score": 1, "embedding": null, "sharpness": 1}]}',
        b'{"width": 9, "height": 9, "faces": [{"box": [1, 1, 2, 2], "score": 1, "embedding": ["x"], "sharpness": 1}]}',
        b'{"width": 9, "height": 9, "faces": [{"box": [1, 1, 2, 2], "score": 1, "embedding": [1]}]}',
        b"\xff",
    ],
)
async def test_what_is_damaged_is_read_again(tmp_path: Path, damaged: bytes) -> None:
    """A file that cannot be understood is not known, and is replaced."""
    known = FolderOfReadings(tmp_path, "mine@1", "1.0")
    await known.keep(b"photo", READING, embed=Embed.ALL)
    file = only_file(tmp_path)
    file.write_bytes(damaged)
    assert await known.find(b"photo", embed=Embed.ALL) is None
    await known.keep(b"photo", READING, embed=Embed.ALL)
    assert await known.find(b"photo", embed=Embed.ALL) == READING


async def test_a_place_that_cannot_be_used_is_said(tmp_path: Path) -> None:
    """A file in the way, at the start or later, is told with its path."""
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(KeptReadingsError, match=r"cannot keep readings in .*file"):
        FolderOfReadings(tmp_path / "file", "mine@1", "1.0")
    known = FolderOfReadings(tmp_path, "mine@1", "1.0")
    (tmp_path / "1.0").mkdir()
    (tmp_path / "1.0" / "mine@1").write_bytes(b"")
    with pytest.raises(KeptReadingsError, match=r"cannot write .*mine@1"):
        await known.keep(b"photo", READING, embed=Embed.ALL)
    with pytest.raises(KeptReadingsError, match=r"cannot read .*mine@1"):
        await known.find(b"photo", embed=Embed.ALL)
