"""The worlds of the end-to-end tests, to be broken."""

from tests.e2e.conftest import bare_world, fragile, world

__all__ = ["bare_world", "fragile", "world"]
