"""The container of the active embedder's templates in the database."""

from dependency_injector import providers

from adapters.postgres.gallery.active_model import ActiveModel
from entrypoints.composition.database import DatabaseContainer
from entrypoints.composition.vision import VisionContainer


class GalleryContainer(VisionContainer, DatabaseContainer):
    """What knows both the embedder and the tables."""

    active_model = providers.Singleton(
        ActiveModel,
        DatabaseContainer.database,
        VisionContainer.factory.provided.info.id,
        clock=VisionContainer.clock,
    )
