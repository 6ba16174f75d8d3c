"""The command ``evaluate``, on a folder of real photographs, with the real pool."""

import json
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from entrypoints.commands.evaluate import evaluate
from infra.photographs import Photographs

APP = typer.Typer()
APP.command()(evaluate)


@pytest.fixture
def folder(tmp_path: Path, photographs: Photographs) -> Path:
    """Return a folder with one person of three photographs, two strangers, and a photograph of nobody."""
    for person, names in {
        "president": ["obama", "obama2", "obama3"],
        "successor": ["biden"],
        "astronaut": ["astronaut"],
        "cat": ["chelsea"],
    }.items():
        (tmp_path / person).mkdir()
        for name in names:
            source = photographs.path(name)
            (tmp_path / person / source.name).write_bytes(source.read_bytes())
    return tmp_path


def test_for_machines(folder: Path) -> None:
    """One JSON object, with everything that was counted."""
    done = CliRunner().invoke(APP, [str(folder), "--json"])
    assert done.exit_code == 0
    found = json.loads(done.stdout)
    assert (found["embedder"], found["faces"], found["people"], found["photographs"]) == ("dlib@2", "central", 4, 6)
    assert found["not_acquired"] == {"no_face": 1}
    assert (found["impostor_pairs"], found["genuine_pairs"]) == (3, 3)
    assert set(found["ms"]) == {"decode", "detect", "embed"}
    as_configured = found["identification"]["by_default"]
    assert as_configured["gallery"] == 1
    assert as_configured["fpir"]["count"] == 0
    assert as_configured["fnir"] == {"count": 0, "of": 2, "share": 0.0, "interval": as_configured["fnir"]["interval"]}
    assert 0.06 < as_configured["threshold"] < 0.08


def test_for_people(folder: Path) -> None:
    """A summary that names what was lost and which file could not be read, and a table of the searches."""
    (folder / "cat" / "lost.jpg").symlink_to(folder / "gone.jpg")
    done = CliRunner().invoke(APP, [str(folder), "--faces", "one"])
    assert done.exit_code == 0
    assert "7 of 4 people" in done.stdout
    assert "cat/lost.jpg: image_not_found" in done.stdout
    assert "no_face 1" in done.stdout
    assert "among people enrolled with 1 photograph each" in done.stdout


def test_a_report_groups_and_a_second_run(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    """The page is written, each group has its row, a stranger to the folder is told, and nothing is read twice."""
    (folder / "groups.csv").write_text("person,group\npresident,office\nsuccessor,office\nzoe,office\n")
    elsewhere = tmp_path_factory.mktemp("report")
    command = [str(folder), "--html", str(elsewhere / "report.html"), "--resume", str(elsewhere / "kept"), "--json"]
    first, second = CliRunner().invoke(APP, command), CliRunner().invoke(APP, command)
    assert (first.exit_code, second.exit_code) == (0, 0), first.output + second.output
    assert "people who have no photographs here: zoe" in first.stderr
    found, again = json.loads(first.stdout), json.loads(second.stdout)
    assert [(group["group"], group["people"]) for group in found["groups"]["figures"]] == [("office", 2)]
    assert found["groups"]["people_in_no_group"] == 2
    assert (found["known"], again["known"], again["photographs_per_second"]) == (0, 6, None)
    assert again["galleries"] == found["galleries"]
    assert "office" in (elsewhere / "report.html").read_text(encoding="utf-8")


def test_what_another_state_of_the_pipelines_has_read_is_read_again(
    folder: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A detector may find other faces although neither the embedder's id nor the version has changed."""
    elsewhere = tmp_path_factory.mktemp("kept")
    command = [str(folder), "--resume", str(elsewhere / "kept"), "--json"]
    known = []
    for code in (b"", b"", b"changed = True"):
        (elsewhere / "detector.py").write_bytes(code)
        monkeypatch.setattr("adapters.vision.__file__", str(elsewhere / "__init__.py"))
        known.append(json.loads(CliRunner().invoke(APP, command).stdout)["known"])
    assert known == [0, 6, 0]


@pytest.mark.parametrize("place", ["gone/report.html", "cat", "/proc/report.html"])
def test_a_place_that_will_not_do_is_told_before_anything_is_read(
    folder: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    """Exit code 2: the report is written last of all."""
    monkeypatch.setattr("entrypoints.commands.evaluate.measured", None)
    done = CliRunner().invoke(APP, [str(folder), "--html", str(folder / place)])
    assert (done.exit_code, str(folder / place) in done.stderr or "no folder" in done.stderr) == (2, True)


def test_wrong_groups_are_told_before_anything_is_read(folder: Path) -> None:
    """Exit code 1, with every wrong row."""
    (folder / "groups.csv").write_text("person,group\npresident\n")
    done = CliRunner().invoke(APP, [str(folder)])
    assert done.exit_code == 1
    assert "row 2: expected a person and a group, found 'president'" in done.stderr


def test_readings_are_not_mixed_with_photographs(folder: Path) -> None:
    """The folder of the photographs is none to keep embeddings in."""
    folder.chmod(0o700)
    done = CliRunner().invoke(APP, [str(folder), "--resume", str(folder)])
    assert done.exit_code == 1
    assert "name another folder" in done.stderr


def test_without_a_threshold(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Everybody is named; there is no number to show for the distance."""
    monkeypatch.setenv("FACEMATCH_MATCH_MAX_DISTANCE", "none")
    found = json.loads(CliRunner().invoke(APP, [str(folder), "--json"]).stdout)
    as_configured = found["identification"]["by_default"]
    assert (as_configured["threshold"], found["target_fpir"]) == (None, None)
    assert found["settings"]["FACEMATCH_MATCH_MAX_DISTANCE"] == "none"
    assert "FACEMATCH_MATCH_TARGET_FPIR" not in found["settings"]
    assert as_configured["fpir"]["share"] == 1


def test_the_limits_on_quality_are_those_of_the_service(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The settings are exported, and the face that they refuse is told as not acquired."""
    monkeypatch.setenv("FACEMATCH_MATCH_MIN_FACE_PIXELS", "10000")
    found = json.loads(CliRunner().invoke(APP, [str(folder), "--json"]).stdout)
    assert found["not_acquired"] == {"face_too_small": 5, "no_face": 1}


def test_a_folder_without_photographs_fails(tmp_path: Path) -> None:
    """It says what is expected."""
    done = CliRunner().invoke(APP, [str(tmp_path)])
    assert done.exit_code == 1
    assert "expected are FOLDER/PERSON/PHOTOGRAPH" in done.stderr


def test_a_missing_folder_is_wrong_usage(tmp_path: Path) -> None:
    """Exit code 2, as for any wrong use."""
    assert CliRunner().invoke(APP, [str(tmp_path / "gone")]).exit_code == 2
