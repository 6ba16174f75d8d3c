"""YuNet's answers, decoded; a network that is known by heart gives them."""

import math
from collections.abc import Callable, Sequence
from typing import Final

import attrs
import numpy as np
import pytest
from PIL import Image

from adapters.vision.detection import yunet
from adapters.vision.detection.detectors import Detection
from adapters.vision.detection.landmarks import EYES_NOSE_MOUTH
from adapters.vision.networks.network import Floats, Tensor, TensorInfo

NAMES: Final = [f"{name}_{stride}" for name in ("cls", "obj", "bbox", "kps") for stride in yunet.STRIDES]
VALUES: Final = {"cls": 1, "obj": 1, "bbox": 4, "kps": 10}
POINTS: Final = [(-1.0, -1.0), (1.0, -1.0), (0.0, 0.0), (-0.5, 1.5), (0.5, 1.5)]
"""Ways from the cell's corner to the landmarks, in strides."""


@attrs.frozen
class Cell:
    """A cell that sees a face of 4 x 4 strides whose centre lies a quarter of a stride from the cell's corner."""

    stride: int
    row: int
    column: int
    likeness: float = 0.9
    presence: float = 0.9


@attrs.define
class Scripted:
    """Sees the same on any picture, or what a function of the picture's shape says."""

    cells: Callable[[tuple[int, ...]], Sequence[Cell]]
    tensors: list[Tensor] = attrs.field(factory=list)
    inputs: tuple[TensorInfo, ...] = (TensorInfo("input", (1, 3, None, None), "float32"),)
    outputs: tuple[TensorInfo, ...] = tuple(
        TensorInfo(name, (1, None, VALUES[name.partition("_")[0]]), "float32") for name in NAMES
    )

    def run(self, tensor: Tensor) -> Sequence[Floats]:
        """Answer."""
        self.tensors.append(tensor)
        height, width = tensor.shape[2:]
        answers = {}
        for name in NAMES:
            value, _, stride = name.partition("_")
            cells = (height // int(stride)) * (width // int(stride))
            answers[name] = np.zeros((1, cells, VALUES[value]), np.float32)
        for cell in self.cells(tensor.shape):
            index = cell.row * (width // cell.stride) + cell.column
            answers[f"cls_{cell.stride}"][0, index] = cell.likeness
            answers[f"obj_{cell.stride}"][0, index] = cell.presence
            answers[f"bbox_{cell.stride}"][0, index] = [0.25, 0.25, math.log(4), math.log(4)]
            answers[f"kps_{cell.stride}"][0, index] = [way for point in POINTS for way in point]
        return [answers[name] for name in NAMES]


def detector(*cells: Cell) -> tuple[yunet.YuNetDetector, Scripted]:
    """Return a detector, and its network."""
    network = Scripted(lambda _: cells)
    return yunet.YuNetDetector(network, least_score=0.5), network


@pytest.mark.parametrize("stride", yunet.STRIDES)
def test_a_face_lies_where_its_cell_says(stride: int) -> None:
    """Centre, size, landmarks and score, for each stride; the picture of 320 is worked on at 640."""
    found, _ = detector(Cell(stride, row=3, column=5, likeness=0.9, presence=0.4))
    [face] = found.find(Image.new("RGB", (320, 320)), every=True)
    corner, side = complex(5, 3) * stride, 4 * stride
    assert face.score == pytest.approx(math.sqrt(0.9 * 0.4))
    assert complex(*face.centre) * 2 == pytest.approx(corner + (0.25 + 0.25j) * stride + (0.034 + 0.068j) * side)
    assert face.side * 2 == pytest.approx(0.970 * side)
    assert [face.landmarks[name] * 2 for name in EYES_NOSE_MOUTH] == pytest.approx(
        [corner + complex(*point) * stride for point in POINTS]
    )


def test_what_is_seen_by_several_cells_is_one_face_and_the_most_certain_counts() -> None:
    """Neighbouring cells, and the same place at another stride, are the same face; another place is another face."""
    found, _ = detector(
        Cell(16, 4, 4, 0.8, 0.8), Cell(16, 4, 5, 0.95, 0.95), Cell(8, 8, 9, 0.7, 0.7), Cell(16, 12, 20, 0.6, 0.6)
    )
    faces = found.find(Image.new("RGB", (640, 640)), every=True)
    assert [face.score for face in faces] == pytest.approx([0.95, 0.6])


def test_what_is_less_certain_than_asked_for_is_no_face() -> None:
    """Values beyond 0 and 1, which a network may give, count as 0 and 1."""
    found, _ = detector(Cell(8, 1, 1, 0.49, 0.49), Cell(8, 20, 20, 9.0, 0.2), Cell(8, 30, 30, -9.0, -9.0))
    assert found.find(Image.new("RGB", (640, 640)), every=True) == []


def test_the_network_sees_blue_first_and_black_beyond_the_edge() -> None:
    """Both sides are multiples of 32, and a colour's values are those of the picture."""
    found, network = detector(Cell(32, 1, 1))
    found.find(Image.new("RGB", (620, 640), (10, 20, 30)), every=True)
    tensor, *_ = network.tensors
    assert tensor.shape == (1, 3, 640, 640)
    assert tensor.dtype == np.float32
    assert tensor[0, :, 0, 0].tolist() == [30, 20, 10]
    assert tensor[0, :, :, 620:].max() == 0


def test_a_face_too_large_for_the_first_look_is_found_by_a_second_one() -> None:
    """Where a picture of 640 shows nobody, one of 320 may."""
    network = Scripted(lambda shape: [Cell(32, 4, 4)] if shape[3] == 320 else [])
    [face] = yunet.YuNetDetector(network, 0.5).find(Image.new("RGB", (640, 640)), every=False)
    assert isinstance(face, Detection)
    assert [tensor.shape[3] for tensor in network.tensors] == [640, 320]
    assert face.side == pytest.approx(0.970 * 4 * 32 * 2)


def test_a_face_too_large_for_the_first_look_is_not_hidden_by_a_small_one() -> None:
    """Who is in the background would be named in its place."""
    network = Scripted(lambda shape: [Cell(32, 4, 3)] if shape[3] == 320 else [Cell(8, 5, 75)])
    small, large = yunet.YuNetDetector(network, 0.5).find(Image.new("RGB", (640, 320)), every=False)
    assert small.side == pytest.approx(0.970 * 4 * 8)
    assert large.side == pytest.approx(0.970 * 4 * 32 * 2)


def test_another_network_is_told_from_a_yunet() -> None:
    """It is said what is missing."""
    _, network = detector()
    assert yunet.missing(network) == ""
    network.outputs = network.outputs[2:]
    assert yunet.missing(network) == "cls_16, cls_8"
    network.inputs = ()
    assert "input" in yunet.missing(network)
