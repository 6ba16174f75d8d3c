"""What a third party's code may do to its caller: what it promised, or raise one of the product's own errors."""

from adapters.vision import registry
from application.ports.face_pipeline import Embed, FacePipeline, ImageBudget
from domain.errors import (
    AttemptFailedError,
    EmbedderFailedError,
    EmbedderUnavailableError,
    FacematchError,
    JobRejectedError,
)
from domain.faces import PhotoReading


class MemoryExhaustedError(EmbedderFailedError):
    """The process has no memory left for this image, be it the image's fault or that of earlier ones."""


def load(embedder: str, budget: ImageBudget, model: str) -> FacePipeline:
    """Return the pipeline of that name with its models loaded.

    Raises:
        EmbedderUnavailableError: it cannot be loaded, or its id is not ``model`` any more, because its package or its
            configuration changed under a running program; the message says why. A MisdescribedEmbedderError where its
            configuration is wrong.

    """
    try:
        pipeline = registry.load(embedder)(budget)
        loaded = pipeline.info.id
    except registry.MisdescribedEmbedderError:
        raise
    except FacematchError as error:
        raise EmbedderUnavailableError(str(error)) from error
    except BaseException as error:
        message = f"embedder {embedder!r} cannot be loaded: {type(error).__name__}: {error}"
        raise EmbedderUnavailableError(message) from error
    if loaded != model:
        raise EmbedderUnavailableError(f"embedder {embedder!r} was {model} at the start and is {loaded} now")
    return pipeline


def read_with(pipeline: FacePipeline, image: bytes, embed: Embed) -> PhotoReading:
    """Return what a pipeline sees on the image.

    Raises:
        JobRejectedError: the image is at fault.
        AttemptFailedError: anything else; an EmbedderFailedError where it is the pipeline's own.

    """
    try:
        reading = pipeline.read(image, embed=embed)
    except (JobRejectedError, AttemptFailedError):
        raise
    except FacematchError as error:
        raise EmbedderFailedError(f"embedder {pipeline.info.id} failed: {error}") from error
    except MemoryError:
        raise MemoryExhaustedError(f"embedder {pipeline.info.id} had not enough memory") from None
    except BaseException as error:  # noqa: BLE001 - third parties' pipelines may raise anything, SystemExit too
        # Neither message nor cause is passed on: foreign ones may quote the image.
        raise EmbedderFailedError(f"embedder {pipeline.info.id} failed with {type(error).__name__}") from None
    _check(pipeline, reading, embed)
    return reading


def _check(pipeline: FacePipeline, reading: object, embed: Embed) -> None:
    if not isinstance(reading, PhotoReading):
        raise EmbedderFailedError(f"embedder {pipeline.info.id} returned {type(reading).__name__}, not a PhotoReading")
    promised = (pipeline.info.id, pipeline.info.dimension)
    if embed.is_wanted(len(reading.faces)) and not all(face.embedding for face in reading.faces):
        raise EmbedderFailedError(
            f"embedder {pipeline.info.id} returned a face without the embedding that was asked for"
        )
    for face in reading.faces:
        if face.embedding and (face.embedding.model, face.embedding.dimension) != promised:
            raise EmbedderFailedError(
                f"embedder {pipeline.info.id} of {pipeline.info.dimension} dimensions returned an embedding of "
                f"{face.embedding.model} with {face.embedding.dimension}"
            )
