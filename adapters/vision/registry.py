"""Which embedders are installed: the entry points of the group ``facematch.embedders``, ours and anybody's."""

from importlib.metadata import entry_points
from typing import Final, Protocol, cast, runtime_checkable

from application.ports.face_pipeline import EmbedderInfo, FacePipelineFactory
from domain.errors import EmbedderUnavailableError, FacematchError

GROUP: Final = "facematch.embedders"
METRIC: Final = "cosine"
"""How the gallery compares embeddings."""


class UnknownEmbedderError(FacematchError):
    """No installed package offers an embedder of this name."""


class BrokenEmbedderError(FacematchError):
    """A package offers an embedder of this name, but it cannot be used."""


class UnconfiguredEmbedderError(BrokenEmbedderError):
    """An embedder needs a configuration that is not given."""


class MisdescribedEmbedderError(BrokenEmbedderError, EmbedderUnavailableError):
    """An embedder's configuration is wrong, be it found at the start or when a process has to be replaced."""


@runtime_checkable
class Configurable(Protocol):
    """What an entry point may offer instead of a factory: one that is made of a configuration."""

    def configured(self) -> FacePipelineFactory:
        """Return the factory; raises BrokenEmbedderError where the configuration is missing or wrong."""


def known() -> tuple[str, ...]:
    """Return the names of all installed embedders, sorted; imports none of them."""
    return tuple(sorted(entry_points(group=GROUP).names))


def load(name: str) -> FacePipelineFactory:
    """Return the factory of that name; its models are not loaded yet.

    Raises:
        UnknownEmbedderError: there is no such embedder; the message lists those there are.
        BrokenEmbedderError: its package cannot be imported, or offers something that is no factory, or whose
            embeddings are not compared by cosine, or another package offers one of the same name, or its
            configuration is missing or wrong.

    """
    offers = {entry_point.value: entry_point for entry_point in entry_points(group=GROUP, name=name)}
    if not offers:
        raise UnknownEmbedderError(f"there is no embedder {name!r}; installed are: {', '.join(known())}")
    if len(offers) > 1:
        raise BrokenEmbedderError(f"several packages offer an embedder {name!r}: {', '.join(sorted(offers))}")
    [entry_point] = offers.values()
    try:
        factory = entry_point.load()
    except Exception as error:
        raise BrokenEmbedderError(
            f"embedder {name!r} ({entry_point.value}) cannot be imported: {type(error).__name__}: {error}"
        ) from error
    if isinstance(factory, Configurable):
        factory = factory.configured()
    if not callable(factory) or not isinstance(getattr(factory, "info", None), EmbedderInfo):
        raise BrokenEmbedderError(
            f"embedder {name!r} ({entry_point.value}) is no factory: it must be callable and have `info: EmbedderInfo`"
        )
    if factory.info.metric != METRIC:
        raise BrokenEmbedderError(
            f"embedder {name!r} ({entry_point.value}) wants its embeddings compared by {factory.info.metric!r}; "
            f"only {METRIC!r} is supported"
        )
    return cast("FacePipelineFactory", factory)
