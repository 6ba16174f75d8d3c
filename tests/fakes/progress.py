"""Progress that nobody follows."""


def unheard(*_progress: object) -> None:
    """Hear of it, and forget it."""
