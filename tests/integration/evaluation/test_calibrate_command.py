"""The command ``calibrate``, with a pipeline that is there at once and the real pool."""

import json
from pathlib import Path

import pytest
import typer
from PIL import Image
from typer.testing import CliRunner

from adapters.evaluation.calibration_file import read_calibration
from entrypoints.commands.calibrate import calibrate
from infra.photographs import Photographs

APP = typer.Typer()
APP.command()(calibrate)


@pytest.fixture
def folder(tmp_path: Path, photographs: Photographs) -> Path:
    """Return a folder of twenty people: five are real, one is there again, the others are these cut differently.

    Distances that are all the same tell nothing.
    """
    names = ["obama", "biden", "astronaut", "obama2", "obama3"]
    for number in range(20):
        source = photographs.path(names[number % len(names)])
        own = tmp_path / "people" / f"{number:02}"
        own.mkdir(parents=True)
        with Image.open(source) as image:
            image.thumbnail((640, 640))
            cut = 3 * max(0, number - len(names))
            image.crop((cut, 0, image.width, image.height)).convert("RGB").save(own / f"{source.stem}.jpg", quality=95)
    return tmp_path / "people"


def test_a_file_for_the_worker(folder: Path, tmp_path: Path) -> None:
    """It names the embedder and what it rests on; who is there twice is told, visibly, and how far the people reach."""
    output = tmp_path / "calibration.json"
    resume = ["--resume", str(tmp_path / "kept")]
    done = CliRunner().invoke(APP, [str(folder), "--output", str(output), *resume, "--json"])
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    [curve] = read_calibration(output).curves
    [told], [kept] = found["curves"], json.loads(output.read_bytes())["curves"]
    assert [(point["fmr"], point["distance"]) for point in told["points"]] == list(curve.points)
    assert {**told, "points": None} == {**kept, "points": None}
    assert (found["embedder"], found["people"]) == (read_calibration(output).embedder, 20)
    assert (curve.photographs, curve.people, curve.comparisons) == (1, 20, 190)
    assert found["look_alikes"][0]["distance"] == pytest.approx(0, abs=1e-6)
    assert "too few to say how to keep a target of 1%" in done.stderr
    (folder / "00").rename(folder / "00\x1b[2J")
    again = CliRunner().invoke(APP, [str(folder), "--output", str(output), *resume])
    assert again.exit_code == 0, again.output
    assert "20 of them read before" in again.stdout
    assert f"FACEMATCH_MATCH_CALIBRATION={output}" in again.stdout
    assert ("00\\x1b[2J" in again.stdout, "\x1b" in again.stdout) == (True, False)


def test_too_few_people_leave_no_file(folder: Path, tmp_path: Path) -> None:
    """Exit code 1, and it is said how many it takes."""
    for number in range(10):
        [photograph] = (folder / f"{number:02}").iterdir()
        photograph.unlink()
    done = CliRunner().invoke(APP, [str(folder), "--output", str(tmp_path / "calibration.json")])
    assert done.exit_code == 1
    assert "10 people have a photograph with a usable face; to calibrate takes 20" in done.stderr
    assert not (tmp_path / "calibration.json").exists()


@pytest.mark.parametrize(
    ("place", "told"),
    [
        ("gone/calibration.json", "there is no folder"),
        ("people", "people: Is a directory"),
        ("/proc/calibration.json", "cannot write /proc/calibration.json: "),
    ],
)
def test_a_place_that_will_not_do_is_told_before_anything_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str, told: str
) -> None:
    """Exit code 2, also where a folder is not for writing or in the way: hours of reading would be in vain."""
    monkeypatch.setattr("entrypoints.commands.calibrate.measured", None)
    (tmp_path / "people").mkdir()
    done = CliRunner().invoke(APP, [str(tmp_path / "people"), "--output", str(tmp_path / place)])
    assert (done.exit_code, told in done.stderr) == (2, True), done.output
    assert [path.name for path in tmp_path.iterdir()] == ["people"]
