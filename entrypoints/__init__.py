"""Ways in: settings, the composition root, the worker's process, the command line, health."""
