"""The worlds of the end-to-end tests, for hostile input that goes through a real worker."""

from tests.e2e.conftest import bare_world, world

__all__ = ["bare_world", "world"]
