"""A worker while it runs: jobs side by side, outages, events, the broker's health."""
