"""The container that fetches the image of a job that has ended."""

from dependency_injector import providers

from adapters.nats_jetstream.jobs.job_archive import JetStreamJobArchive
from adapters.nats_jetstream.jobs.payload import JsonJobParser
from application.operating.retrieve_image import RetrieveImage
from entrypoints.composition.broker import BrokerContainer
from entrypoints.composition.objects import ObjectsContainer


class RetrievingContainer(BrokerContainer, ObjectsContainer):
    """What finds a job on the broker, and its image in the object store."""

    retrieve_image = providers.Singleton(
        RetrieveImage,
        archive=providers.Factory(JetStreamJobArchive, BrokerContainer.nats_client, BrokerContainer.names),
        parser=providers.Factory(JsonJobParser),
        photos=ObjectsContainer.photos,
        image_refs=ObjectsContainer.image_refs,
        max_bytes=ObjectsContainer.settings.provided.vision.max_bytes,
    )
