"""Ways in: settings, the composition root, the worker, the command line, health."""
