"""Files of models are used only where they are those that were promised."""

from pathlib import Path

import pytest

from adapters.vision.weights.model_file import ModelFile, ModelFileError
from tests.own_models import sha256


def test_the_promised_bytes_are_returned(tmp_path: Path) -> None:
    """The graph, and the weights beside it."""
    graph, weights = tmp_path / "net.xml", tmp_path / "net.bin"
    graph.write_bytes(b"graph")
    weights.write_bytes(b"weights")
    file = ModelFile(graph, sha256(graph), sha256(weights))
    assert list(file.problems()) == []
    assert file.read() == [b"graph", b"weights"]


@pytest.mark.parametrize(("exchanged", "key"), [("net.xml", "sha256"), ("net.bin", "weights_sha256")])
def test_other_bytes_are_refused(exchanged: str, key: str, tmp_path: Path) -> None:
    """Whichever of the two files is another one."""
    graph, weights = tmp_path / "net.xml", tmp_path / "net.bin"
    graph.write_bytes(b"graph")
    weights.write_bytes(b"weights")
    file = ModelFile(graph, sha256(graph), sha256(weights))
    (tmp_path / exchanged).write_bytes(b"other")
    [problem] = file.problems()
    assert problem.startswith(f"{key}: {tmp_path / exchanged} has ")
    with pytest.raises(ModelFileError, match=f"^{key}: "):
        file.read()


def test_a_file_that_is_gone_is_told(tmp_path: Path) -> None:
    """By its path, and why."""
    file = ModelFile(tmp_path / "net.onnx", "0" * 64)
    expected = f"file: cannot read {tmp_path / 'net.onnx'} (No such file or directory)"
    assert list(file.problems()) == [expected]
    with pytest.raises(ModelFileError) as raised:
        file.read()
    assert str(raised.value) == expected
