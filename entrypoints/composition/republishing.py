"""The container that publishes jobs of photos that have none, or shall have another."""

from dependency_injector import providers

from adapters.nats_jetstream.jobs.jobs_in_flight import JetStreamJobsInFlight
from adapters.nats_jetstream.publishing.republisher import JetStreamRepublisher
from adapters.postgres.photos import PostgresPhotoCatalogue
from application.operating.republish_photos import RepublishPhotos
from entrypoints.composition.broker import BrokerContainer
from entrypoints.composition.database import DatabaseContainer


class RepublishingContainer(BrokerContainer, DatabaseContainer):
    """What compares the tables with the broker."""

    nats_client = BrokerContainer.nats_client
    names = BrokerContainer.names

    photo_catalogue = providers.Factory(PostgresPhotoCatalogue, DatabaseContainer.database)
    republisher = providers.Factory(JetStreamRepublisher, nats_client, names)
    republish_photos = providers.Factory(
        RepublishPhotos,
        in_flight=providers.Factory(JetStreamJobsInFlight, nats_client, names),
        republisher=republisher,
        image_refs=BrokerContainer.image_refs,
        clock=BrokerContainer.clock,
    )
