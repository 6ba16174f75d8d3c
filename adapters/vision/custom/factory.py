"""The factory of a described recogniser: what is known of it before its models are loaded."""

from pathlib import Path
from typing import Final

import attrs

from adapters.vision.custom.described_values import DetectorKind
from adapters.vision.custom.description import Description, UnderstoodDescription, read
from adapters.vision.custom.pipeline import NAME
from adapters.vision.detection.landmarks import EYES_NOSE_MOUTH
from adapters.vision.registry import MisdescribedEmbedderError, known
from application.ports.face_pipeline import EmbedderInfo, FacePipeline, ImageBudget

_DETECTORS: Final = {
    DetectorKind.HOG: "HOG face detector (dlib)",
    DetectorKind.BLAZEFACE: "BlazeFace full-range face detector (MediaPipe)",
    DetectorKind.YUNET: "YuNet face detector",
}


@attrs.frozen
class CustomFactory:
    """Makes the pipeline of a description whose files have been checked."""

    file: Path
    parts: UnderstoodDescription
    description: Description

    @property
    def info(self) -> EmbedderInfo:
        """Who would make the embeddings."""
        said = self.description
        return EmbedderInfo(
            id=said.id,
            dimension=said.dimension,
            licence=said.licence,
            description=said.description or _described(said),
            calibration=said.thresholds,
            metric=said.metric,
        )

    def __call__(self, budget: ImageBudget) -> FacePipeline:
        """Load the models.

        Raises:
            MisdescribedEmbedderError: they are not as described; the message lists everything that is wrong.

        """
        from adapters.vision.custom import assembly  # noqa: PLC0415 - loads native libraries: not before they are needed

        opened = assembly.opened(self.parts)
        if opened.problems:
            raise _misdescribed(self.file, opened.problems)
        return assembly.assembled(self.description, opened, self.info, budget)


def described(file: Path) -> CustomFactory:
    """Return the factory of what a file describes.

    Raises:
        MisdescribedEmbedderError: it cannot be read, or is wrong; the message lists everything that is wrong.

    """
    parts = read(file)
    problems = list(parts.problems)
    if parts.description and (name := parts.description.id.partition("@")[0]) in set(known()) - {NAME}:
        problems.append(f"id: {name} is another embedder's, with whose vectors yours would be compared")
    if problems or parts.description is None:
        raise _misdescribed(file, [*problems, *_misfits(parts)])
    return CustomFactory(file, parts, parts.description)


def _misfits(parts: UnderstoodDescription) -> tuple[str, ...]:
    """Return what else is wrong, with the models: who has to correct a file wants to know all of it."""
    from adapters.vision.custom import assembly  # noqa: PLC0415 - loads native libraries: not before they are needed

    return assembly.opened(parts).problems


def _misdescribed(file: Path, problems: list[str] | tuple[str, ...]) -> MisdescribedEmbedderError:
    unique = dict.fromkeys(problems)
    return MisdescribedEmbedderError(
        f"embedder {NAME!r} is described wrongly by {file}:\n" + "\n".join(f"  {problem}" for problem in unique)
    )


def _described(said: Description) -> str:
    if said.landmarks.keys() != set(EYES_NOSE_MOUTH):
        landmarks = "corners of the eyes and base of the nose (dlib)"
    elif said.detector.kind is DetectorKind.YUNET:
        landmarks = "its five landmarks"
    elif said.detector.kind is DetectorKind.BLAZEFACE:
        landmarks = "its eyes, nose and middle of the mouth"
    else:
        landmarks = "middles of the eyes and base of the nose (dlib)"
    mirrored = ", each face also seen in a mirror" if said.mirror else ""
    return f"{_DETECTORS[said.detector.kind]}, aligned by {landmarks}, {Path(said.model.file).name}{mirrored}"
