"""Environment variables: read into declared settings, every problem told."""
