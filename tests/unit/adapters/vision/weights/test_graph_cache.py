"""The recogniser's graph is built once, and whatever happens to the cache, the graph is right."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import attrs
import pytest

from adapters.vision.weights import graph_cache
from adapters.vision.weights.graph_cache import cache_folder, dlib_resnet
from adapters.vision.weights.provided import RECOGNISER, installed
from adapters.vision.weights.resnet import build


@pytest.fixture(scope="module")
def whole_graph() -> bytes:
    """Return the graph as it is built."""
    built: bytes = build(installed(RECOGNISER)).SerializeToString()
    return built


@pytest.fixture
def graph(whole_graph: bytes, monkeypatch: pytest.MonkeyPatch) -> bytes:
    """Return the graph, which the cache need not have built again."""
    monkeypatch.setattr(graph_cache, "_built", lambda _: whole_graph)
    return whole_graph


def kept(folder: Path) -> Path:
    """Return the only file in the cache."""
    [file] = folder.iterdir()
    return file


def test_it_is_built_once(tmp_path: Path, whole_graph: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second time, it is read; the file is the graph behind its SHA-256."""
    folder = tmp_path / "new" / "cache"
    assert dlib_resnet(RECOGNISER, folder) == whole_graph
    monkeypatch.setattr(graph_cache, "_built", lambda _: pytest.fail("built again"))
    assert dlib_resnet(RECOGNISER, folder) == whole_graph
    assert kept(folder).read_bytes()[32:] == whole_graph


@pytest.mark.parametrize("damage", ["empty", "truncated", "one bit", "another's"])
def test_a_damaged_file_is_replaced(tmp_path: Path, graph: bytes, damage: str) -> None:
    """What is not exactly what was kept is built again and kept again."""
    dlib_resnet(RECOGNISER, tmp_path)
    file = kept(tmp_path)
    whole = file.read_bytes()
    match damage:
        case "empty":
            file.write_bytes(b"")
        case "truncated":
            file.write_bytes(whole[:-1])
        case "one bit":
            file.write_bytes(whole[:5000] + bytes([whole[5000] ^ 1]) + whole[5001:])
        case _:
            file.write_bytes(os.urandom(100))
    assert dlib_resnet(RECOGNISER, tmp_path) == graph
    assert file.read_bytes() == whole


@pytest.mark.parametrize("by", ["its group", "everybody", "another user"])
def test_a_file_that_others_may_write_is_replaced(tmp_path: Path, graph: bytes, by: str) -> None:
    """However right it looks: whoever put it there would decide what all faces are compared by."""
    dlib_resnet(RECOGNISER, tmp_path)
    file = kept(tmp_path)
    forged = b"forged"
    file.write_bytes(hashlib.sha256(forged).digest() + forged)
    assert dlib_resnet(RECOGNISER, tmp_path) == forged, "it is read where it is trusted"
    match by:
        case "its group":
            file.chmod(0o620)
        case "everybody":
            file.chmod(0o602)
        case _ if os.geteuid() == 0:
            os.chown(file, 65534, -1)
        case _:
            pytest.skip("only root makes another user's file")
    assert dlib_resnet(RECOGNISER, tmp_path) == graph
    assert file.read_bytes()[32:] == graph
    assert (file.stat().st_uid, file.stat().st_mode & 0o022) == (os.geteuid(), 0)


def test_other_weights_and_other_builders_have_other_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing outdated is ever found: the name follows from everything that the graph is made of."""
    monkeypatch.setattr(graph_cache, "_built", lambda weights: weights.read_bytes())
    weights = tmp_path / "weights.dat"
    monkeypatch.setattr(graph_cache, "installed", lambda _: weights)
    for version, content in ((1, b"one"), (2, b"one"), (2, b"two")):
        monkeypatch.setattr(graph_cache, "BUILDER_VERSION", version)
        weights.write_bytes(content)
        digest = hashlib.sha256(content).hexdigest()
        assert dlib_resnet(attrs.evolve(RECOGNISER, sha256=digest), tmp_path / "cache") == content
    assert len(list((tmp_path / "cache").iterdir())) == 3


@pytest.mark.parametrize("obstacle", ["none known", "a file in its place", "below a file"])
def test_without_a_cache_it_is_built(tmp_path: Path, graph: bytes, obstacle: str) -> None:
    """Where nothing can be kept, nothing is, and the graph is right."""
    file = tmp_path / "file"
    file.write_bytes(b"in the way")
    folder = {"none known": None, "a file in its place": file, "below a file": file / "cache"}[obstacle]
    assert dlib_resnet(RECOGNISER, folder) == graph
    assert list(tmp_path.iterdir()) == [file]


def test_nothing_is_left_where_keeping_fails(tmp_path: Path, graph: bytes) -> None:
    """A folder in the file's place keeps it from being put there; no half of it stays behind."""
    dlib_resnet(RECOGNISER, tmp_path)
    file = kept(tmp_path)
    file.unlink()
    (file / "in the way").mkdir(parents=True)
    assert dlib_resnet(RECOGNISER, tmp_path) == graph
    assert kept(tmp_path) == file


def test_several_processes_at_once(tmp_path: Path) -> None:
    """All get the same whole graph, and one whole file stays."""
    program = (
        "import sys, hashlib, pathlib\n"
        "from adapters.vision.weights.graph_cache import dlib_resnet\n"
        "from adapters.vision.weights.provided import RECOGNISER\n"
        "graph = dlib_resnet(RECOGNISER, pathlib.Path(sys.argv[1]))\n"
        "print(hashlib.sha256(graph).hexdigest())\n"
    )
    command = [sys.executable, "-c", program, str(tmp_path)]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(4)]
    [digest] = {process.communicate(timeout=60)[0].strip() for process in processes}
    assert kept(tmp_path).read_bytes()[:32].hex() == digest


def test_the_builder_is_imported_only_to_build(tmp_path: Path) -> None:
    """Whoever finds the graph does not wait for the library that builds it."""
    program = (
        "import sys, pathlib\n"
        "from adapters.vision.weights.graph_cache import dlib_resnet\n"
        "from adapters.vision.weights.provided import RECOGNISER\n"
        "dlib_resnet(RECOGNISER, pathlib.Path(sys.argv[1]))\n"
        "print('onnx' in sys.modules)\n"
    )
    command = [sys.executable, "-c", program, str(tmp_path)]
    said = [subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip() for _ in range(2)]
    assert said == ["True", "False"]


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({"FACEMATCH_CACHE": "/a", "XDG_CACHE_HOME": "/b", "HOME": "/c"}, "/a"),
        ({"XDG_CACHE_HOME": "/b", "HOME": "/c"}, "/b/facematch"),
        ({"HOME": "/c"}, "/c/.cache/facematch"),
        ({"XDG_CACHE_HOME": "", "HOME": ""}, None),
    ],
)
def test_the_place_of_the_cache(
    environment: dict[str, str], expected: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The product's own variable, then the user's choice, then their home; nowhere without any."""
    for name in ("FACEMATCH_CACHE", "XDG_CACHE_HOME", "HOME"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert cache_folder() == (expected and Path(expected))
