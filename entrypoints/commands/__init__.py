"""The subcommands of ``facematch``, one module for each thing that people come for."""
