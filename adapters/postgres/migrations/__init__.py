"""Plain SQL files; see :mod:`adapters.postgres.migrations.versions`."""
