"""The subcommands of ``facematch``, one module for each, or for each group of them."""
