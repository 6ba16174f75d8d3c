"""How detector, aligner and recogniser work together on one photograph. Importing this loads native libraries."""

import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import attrs

from adapters.vision.alignment import FivePointAligner
from adapters.vision.decoding import Picture, decode
from adapters.vision.detection import Detector, Found
from adapters.vision.graph_cache import cache_folder, dlib_resnet
from adapters.vision.recognition import OnnxRecogniser, Recogniser
from adapters.vision.weights import dlib_weights
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
    aligner: FivePointAligner
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
        if faces and (embed is Embed.ALL or (embed is Embed.ONLY_FACE and len(faces) == 1)):
            with watch.stage("embed"):
                embeddings = self._embed(picture, [face for face, _ in seen])
                faces = [
                    attrs.evolve(face, embedding=embedding) for face, embedding in zip(faces, embeddings, strict=True)
                ]
        return PhotoReading(picture.width, picture.height, tuple(faces), tuple(watch.stages))

    def _embed(self, picture: Picture, faces: Sequence[Found]) -> list[FaceEmbedding]:
        vectors = self.recogniser.embed([self.aligner.chip(picture.detail, face) for face in faces])
        return [FaceEmbedding(self.info.id, tuple(vector.tolist())) for vector in vectors]


def _box(face: Found, picture: Picture) -> BoundingBox | None:
    face = face.scaled(picture.scale)
    right, bottom = face.left + face.side, face.top + face.side
    return BoundingBox.clipped(face.left, face.top, right, bottom, width=picture.width, height=picture.height)


def assemble(detector: Detector, info: EmbedderInfo, budget: ImageBudget) -> AlignedFacePipeline:
    """Load aligner and recogniser and put them behind a detector."""
    aligner = FivePointAligner(dlib_weights("shape_predictor_5_face_landmarks.dat"))
    weights = dlib_weights("dlib_face_recognition_resnet_model_v1.dat")
    recogniser = OnnxRecogniser(dlib_resnet(weights, cache_folder()))
    return AlignedFacePipeline(info, budget, detector, aligner, recogniser)
