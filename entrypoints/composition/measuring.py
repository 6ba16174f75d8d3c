"""The container that measures on folders of photographs; it needs no server."""

from dependency_injector import providers

from adapters.evaluation.distances import NumpyDistances
from application.evaluation.calibrate_embedder import CalibrateEmbedder
from application.evaluation.evaluate_photos import EvaluatePhotos
from application.evaluation.read_photos import ReadPhotos
from entrypoints.composition.vision import VisionContainer


class MeasuringContainer(VisionContainer):
    """What evaluates and calibrates the active embedder."""

    settings = VisionContainer.settings

    read_photos = providers.Singleton(
        ReadPhotos,
        reader=VisionContainer.face_reader,
        clock=VisionContainer.clock,
        concurrency=settings.provided.worker.jobs_in_hand,
        quality=VisionContainer.quality,
    )
    distances = providers.Singleton(NumpyDistances)
    evaluate_photos = providers.Singleton(
        EvaluatePhotos,
        read=read_photos,
        distances=distances,
        threshold=VisionContainer.threshold,
        margin=settings.provided.vision.margin,
        calibration=VisionContainer.calibration,
    )
    calibrate_embedder = providers.Singleton(CalibrateEmbedder, read=read_photos, distances=distances)
