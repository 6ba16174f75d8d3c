"""How many of something, in words."""


def quantity(count: int, noun: str) -> str:
    """Return a count with its noun, in the plural but for one: ``1 user``, ``5,000 users``."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"
