"""How detector, aligner and recogniser work together on one photograph. Importing this loads native libraries."""

import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import attrs

from adapters.vision.detection.detectors import Detection, Detector
from adapters.vision.detection.hog import verified_hog
from adapters.vision.detection.second_chance import FallbackDetector
from adapters.vision.networks.onnx_network import OnnxNetwork
from adapters.vision.pictures.decoding import decode
from adapters.vision.pictures.pixels import Picture
from adapters.vision.pictures.sharpness import sharpness
from adapters.vision.recognition.alignment import Aligner, FivePointAligner
from adapters.vision.recognition.recogniser import FlipAveraged, NetworkRecogniser, Recogniser
from adapters.vision.weights.graph_cache import cache_folder, dlib_resnet
from adapters.vision.weights.provided import BLAZEFACE, FIVE_POINTS, RECOGNISER, installed
from application.ports.face_pipeline import Embed, EmbedderInfo, ImageBudget
from domain.faces import BoundingBox, DetectedFace, FaceEmbedding, PhotoReading, StageTiming


class _Stopwatch:
    """Notes when each stage ran."""

    def __init__(self) -> None:
        self.stages: list[StageTiming] = []

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        started = time.time_ns()
        yield
        self.stages.append(StageTiming(name, started, time.time_ns(), os.getpid()))


@attrs.frozen
class AlignedFacePipeline:
    """A face pipeline: decode, detect, align, recognise."""

    info: EmbedderInfo
    budget: ImageBudget
    detector: Detector
    aligner: Aligner
    recogniser: Recogniser

    def read(self, image: bytes, *, embed: Embed) -> PhotoReading:
        """Return what is on the photograph, as the port says."""
        watch = _Stopwatch()
        with watch.stage("decode"):
            picture = decode(image, self.budget)
        with watch.stage("detect"):
            seen = [
                (face, DetectedFace(box, face.score))
                for face in self.detector.find(picture.detail, every=embed is not Embed.ONLY_FACE)
                if (box := _box(face, picture))
            ]
        faces = [detected for _, detected in seen]
        if faces and embed.is_wanted(len(faces)):
            with watch.stage("embed"):
                faces = self._embedded(picture, seen)
        return PhotoReading(picture.width, picture.height, tuple(faces), tuple(watch.stages))

    def _embedded(self, picture: Picture, seen: Sequence[tuple[Detection, DetectedFace]]) -> list[DetectedFace]:
        chips = [self.aligner.chip(picture.detail, face) for face, _ in seen]
        return [
            attrs.evolve(face, embedding=FaceEmbedding(self.info.id, tuple(vector.tolist())), sharpness=sharpness(chip))
            for (_, face), chip, vector in zip(seen, chips, self.recogniser.embed(chips), strict=True)
        ]


def _box(face: Detection, picture: Picture) -> BoundingBox | None:
    face = face.scaled(picture.scale)
    right, bottom = face.left + face.side, face.top + face.side
    return BoundingBox.clipped(face.left, face.top, right, bottom, width=picture.width, height=picture.height)


def dlib_aligner() -> FivePointAligner:
    """Load the aligner that dlib's recogniser learnt with."""
    return FivePointAligner(installed(FIVE_POINTS))


def blazeface_detector() -> Detector:
    """Load BlazeFace; only who uses it imports MediaPipe."""
    from adapters.vision.detection.blazeface import BlazeFaceDetector  # noqa: PLC0415 - as said above

    return BlazeFaceDetector(installed(BLAZEFACE))


def hog_pipeline(info: EmbedderInfo, budget: ImageBudget) -> AlignedFacePipeline:
    """Load the pipeline that detects with HOG."""
    aligner = dlib_aligner()
    return _with_dlib_recogniser(verified_hog(aligner), aligner, info, budget)


def blazeface_pipeline(info: EmbedderInfo, budget: ImageBudget) -> AlignedFacePipeline:
    """Load the pipeline that detects with BlazeFace, and with HOG where that finds nothing."""
    aligner = dlib_aligner()
    return _with_dlib_recogniser(FallbackDetector(blazeface_detector(), verified_hog(aligner)), aligner, info, budget)


def _with_dlib_recogniser(
    detector: Detector, aligner: Aligner, info: EmbedderInfo, budget: ImageBudget
) -> AlignedFacePipeline:
    """Load dlib's recogniser, which looks at each face twice, and put it behind a detector and an aligner."""
    recogniser = FlipAveraged(NetworkRecogniser(OnnxNetwork(dlib_resnet(RECOGNISER, cache_folder()))))
    return AlignedFacePipeline(info, budget, detector, aligner, recogniser)
