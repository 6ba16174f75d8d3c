"""The demonstration, as ``make demo`` runs it."""

import os
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.e2e.command import FACEMATCH, run_process


@pytest.fixture
def temporary(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return a short temporary folder that the demo's servers use: sockets need short paths."""
    folder = Path(tempfile.mkdtemp(prefix="fm-"))
    folder.chmod(0o711)
    monkeypatch.setenv("TMPDIR", str(folder))
    yield folder
    shutil.rmtree(folder)


def test_the_demo_shows_every_outcome_and_leaves_nothing_behind(tmp_path: Path, temporary: Path) -> None:
    """It ends with 0, writes contact sheet and trace, and removes its servers' data."""
    done = run_process("demo", "--output", str(tmp_path), TMPDIR=str(temporary))
    assert done.returncode == 0, done.stdout + done.stderr
    for word in ("matched", "no_match", "multiple_faces", "no_face", "unreadable_image", "image_not_found"):
        assert word in done.stdout
    assert "already_matched" in done.stdout
    assert "malformed_payload" in done.stdout
    with Image.open(tmp_path / "contact-sheet.png") as sheet:
        assert sheet.width > 1000
    trace = (tmp_path / "trace.txt").read_text()
    with Image.open(tmp_path / "trace.png") as picture:
        assert picture.height > 20 * len(trace.splitlines())
    assert all(word in trace for word in ("photo-app", "guardrails", "decode", "embed", "ack"))
    assert list(temporary.iterdir()) == []


def test_a_folder_of_people_is_matched_and_counted(tmp_path: Path, temporary: Path, photographs: Any) -> None:
    """The first photograph of each person enrols, the others are named; right and wrong are counted."""
    for person, names in {"obama": ("obama", "obama2", "obama3"), "biden": ("biden",)}.items():
        (tmp_path / "people" / person).mkdir(parents=True)
        for name in names:
            shutil.copy(photographs.path(name), tmp_path / "people" / person)
    done = run_process(
        "demo", "--photos", str(tmp_path / "people"), "--output", str(tmp_path / "out"), TMPDIR=str(temporary)
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 photographs of 2 enrolled people: 2 right, 0 wrong, 0 unmatched" in done.stdout


def test_an_interrupted_demo_leaves_nothing_behind(tmp_path: Path, temporary: Path) -> None:
    """Ctrl-C stops the servers and removes their data."""
    environment = {**os.environ, "TMPDIR": str(temporary)}
    with subprocess.Popen(
        [FACEMATCH, "demo", "--output", str(tmp_path)], env=environment, stderr=subprocess.PIPE, text=True
    ) as demo:
        assert demo.stderr is not None
        for line in demo.stderr:
            if line.startswith("started NATS"):
                break
        demo.send_signal(signal.SIGINT)
        _, told = demo.communicate(timeout=60)
    assert (demo.returncode, told.splitlines()[-1]) == (130, "interrupted")
    assert list(temporary.iterdir()) == []
    still = subprocess.run(["pgrep", "-f", str(temporary)], capture_output=True, text=True, check=False)
    assert still.stdout == ""
