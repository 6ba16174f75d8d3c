"""What every container has: the settings, and what they say without any driver."""

from typing import TypeVar

from dependency_injector import containers, providers

from adapters.system.clock import SystemClock
from domain.images import ImageRefPolicy
from entrypoints.settings import Settings

Container = TypeVar("Container", bound="BaseContainer")


class BaseContainer(containers.DeclarativeContainer):
    """Builds everything once, when it is first asked for; override ``settings``."""

    settings: providers.Dependency[Settings] = providers.Dependency(instance_of=Settings)
    clock = providers.Singleton(SystemClock)
    image_refs = providers.Singleton(
        ImageRefPolicy.of, settings.provided.s3.bucket, settings.provided.s3.allowed_buckets
    )


def build(container: type[Container], settings: Settings) -> Container:
    """Return a container for these settings; nothing is opened yet."""
    return container(settings=providers.Object(settings))
