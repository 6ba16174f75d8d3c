"""A recogniser of one's own, from the command line."""

import json
from pathlib import Path

from infra.photographs import Photographs
from tests.e2e.command import run_cli
from tests.e2e.forked import run_forked
from tests.own_models import resnet_document, tiny_document, written

_NO_SERVERS = {"FACEMATCH_NATS_URL": "nats://127.0.0.1:1", "FACEMATCH_DATABASE_URL": "postgresql://127.0.0.1:1/x"}


def test_it_is_listed_and_looks_at_photographs(tmp_path: Path, photographs: Photographs) -> None:
    """Under the id, the dimension and the licence of its description."""
    chosen = {
        "FACEMATCH_EMBEDDER": "custom",
        "FACEMATCH_EMBEDDER_FILE": str(written(resnet_document(tmp_path), tmp_path)),
    }
    rows = {row["name"]: row for row in json.loads(run_cli("embedders", "--json", **chosen).stdout)}
    assert {key: rows["custom"][key] for key in ("id", "dimension", "licence", "active")} == {
        "id": "resnet@1",
        "dimension": 128,
        "licence": "public domain (CC0)",
        "active": True,
    }
    done = run_cli("inspect", "--json", "--with-embedding", str(photographs.path("obama")), **chosen)
    line = json.loads(done.stdout)
    assert (done.returncode, line["embedder"], len(line["faces"][0]["embedding"])) == (0, "resnet@1", 128)


def test_without_a_description_the_list_says_how_to_give_one() -> None:
    """People read it in the list; machines get the embedders that can be used."""
    listed = run_cli("embedders")
    assert (listed.returncode, listed.stderr) == (0, "")
    assert "custom\n  not configured: set FACEMATCH_EMBEDDER_FILE to the description of your " in listed.stdout
    for_machines = run_cli("embedders", "--json")
    assert (for_machines.returncode, for_machines.stderr) == (0, "")
    assert [row["name"] for row in json.loads(for_machines.stdout)] == ["dlib", "mediapipe"]


def test_choosing_it_without_a_description_is_a_wrong_setting() -> None:
    """It stands in the table of wrong settings."""
    done = run_forked("worker", FACEMATCH_EMBEDDER="custom", COLUMNS="200")
    assert done.returncode == 2
    assert "FACEMATCH_EMBEDDER_FILE" in done.stderr
    assert "is missing, while FACEMATCH_EMBEDDER is custom" in done.stderr


def test_a_wrong_description_stops_everything_with_all_that_is_wrong(tmp_path: Path) -> None:
    """Exit code 2 and one message, whether the text is wrong or the model, and whatever servers are away."""
    wrong_text = tiny_document(tmp_path) | {"metric": "euclidean", "colour": "RGB"}
    wrong_model = tiny_document(tmp_path) | {"dimension": 128}
    for document, told in (
        (wrong_text, ["metric: expected cosine", "unknown: colour"]),
        (wrong_model, ["dimension: the model's vectors have 12, not 128"]),
    ):
        chosen = {"FACEMATCH_EMBEDDER": "custom", "FACEMATCH_EMBEDDER_FILE": str(written(document, tmp_path))}
        for arguments in (("worker",), ("inspect", str(tmp_path / "own.toml"))):
            done = run_forked(*arguments, **chosen, **_NO_SERVERS, FACEMATCH_HEALTH_ADDRESS="127.0.0.1:0")
            assert done.returncode == 2
            assert [words for words in told if words not in done.stderr] == []
            assert "Traceback" not in done.stderr


def test_the_doctor_says_what_is_wrong_with_the_model(tmp_path: Path) -> None:
    """Word for word, the shapes in brackets included."""
    document = tiny_document(tmp_path)
    document["input"]["layout"] = "NHWC"
    chosen = {"FACEMATCH_EMBEDDER": "custom", "FACEMATCH_EMBEDDER_FILE": str(written(document, tmp_path))}
    done = run_forked("doctor", **chosen, **_NO_SERVERS, COLUMNS="300")
    assert done.returncode == 1
    assert "the model takes [any, 3, 32, 32] of float32" in done.stdout
    assert "say [1, 32, 32, 3] of float32" in done.stdout
