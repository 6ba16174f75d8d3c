"""The container of the object store."""

from collections.abc import Callable

from dependency_injector import providers

from adapters.object_store.aws_role import AwsRole
from adapters.object_store.retrying import RetryingPhotoStore
from adapters.object_store.store import ObjectStoreDependency, S3PhotoStore, StoreOptions
from adapters.object_store.witnesses import Witnesses
from application.ports.clock import Clock
from domain.retries import LinearBackoff
from entrypoints.composition.base import BaseContainer
from entrypoints.settings import NatsSettings, S3Settings
from entrypoints.terminal.console import err, visible

_FETCH_SHARE = 0.8
"""How much of the ack wait a photograph may take to come, all tries together."""
_LONGEST_TRY_SECONDS = 20.0


def fetch_seconds(nats: NatsSettings) -> float:
    """Return the time that a photograph has to come."""
    return _FETCH_SHARE * nats.ack_wait


def complain(what: str) -> None:
    """Tell people that new credentials do not come, before the old ones end and nothing can be read any more."""
    err.print(visible(f"object store: {what}"))


def _store_options(
    s3: S3Settings, clock: Clock, connections: int, seconds: float, report: Callable[[str], None]
) -> StoreOptions:
    """Return how to reach the object store, and the longest that one try may take."""
    return StoreOptions(
        endpoint=s3.endpoint,
        access_key=s3.access_key,
        secret_key=s3.secret_key,
        role=AwsRole(s3.region, clock=clock, report=report) if s3.credentials == "aws" else None,
        secure=s3.secure,
        region=s3.region,
        ca=s3.tls_ca,
        connections=connections,
        deadline_seconds=min(seconds, _LONGEST_TRY_SECONDS),
    )


class ObjectsContainer(BaseContainer):
    """What fetches photographs."""

    settings = BaseContainer.settings
    clock = BaseContainer.clock

    fetch_seconds = providers.Callable(fetch_seconds, settings.provided.nats)
    credentials_report = providers.Object(complain)
    store_options = providers.Singleton(
        _store_options,
        settings.provided.s3,
        clock,
        settings.provided.worker.jobs_in_hand,
        fetch_seconds,
        credentials_report,
    )
    witnesses = providers.Singleton(Witnesses, clock=clock)
    photo_store = providers.Singleton(S3PhotoStore, store_options, witnesses)
    photos = providers.Singleton(
        RetryingPhotoStore,
        photo_store,
        providers.Factory(LinearBackoff, settings.provided.s3.retry_attempts, settings.provided.s3.retry_base),
        clock=clock,
        deadline_seconds=fetch_seconds,
    )
    objects = providers.Singleton(ObjectStoreDependency, store_options, settings.provided.s3.bucket, witnesses)
