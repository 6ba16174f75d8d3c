"""The guide for bringing one's own model describes models as they have to be described."""

from pathlib import Path

import attrs
import pytest

from adapters.vision.custom.description import Description, DetectorSection, InputSection, ModelSection, read
from adapters.vision.detection.landmarks import CORNERS_AND_NOSE_BASE, EYES_NOSE_MOUTH
from tests.unit.docs.pages import page

GUIDE = page("docs/how-to/bring-your-own-model.md")
EXAMPLES = [code for code in GUIDE.code("toml") if code.startswith("id = ")]


@pytest.mark.parametrize("example", EXAMPLES, ids=[code.splitlines()[0] for code in EXAMPLES])
def test_the_examples_lack_nothing_but_the_files(example: str, tmp_path: Path) -> None:
    """Whoever copies one has only to put the models beside it."""
    path = tmp_path / "own.toml"
    path.write_text(example)
    assert [problem for problem in read(path).problems if "file: cannot read" not in problem] == []


def test_measured_distances_can_take_the_place_of_the_example(tmp_path: Path) -> None:
    """The last step's thresholds fit into the first step's description."""
    [thresholds] = [code for code in GUIDE.code("toml") if code not in EXAMPLES]
    path = tmp_path / "own.toml"
    path.write_text(EXAMPLES[0].replace("[thresholds]\ndistance = 0\n", thresholds))
    assert "false_match_rates" in path.read_text()
    assert [problem for problem in read(path).problems if "file: cannot read" not in problem] == []


@pytest.mark.parametrize("section", [Description, ModelSection, InputSection, DetectorSection])
def test_every_key_is_explained(section: type[attrs.AttrsInstance]) -> None:
    """None has to be found out from the code."""
    keys = {field.name for field in attrs.fields(section)} - {"model", "input", "landmarks", "thresholds", "detector"}
    assert keys - set(GUIDE.code_spans) == set()


def test_every_landmark_is_named() -> None:
    """Of both sets."""
    assert {*EYES_NOSE_MOUTH, *CORNERS_AND_NOSE_BASE} - set(GUIDE.code_spans) == set()
