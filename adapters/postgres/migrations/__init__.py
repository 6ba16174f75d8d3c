"""Plain SQL files; see :mod:`adapters.postgres.versions`."""
