"""A worker while it runs: jobs side by side, each from delivery to settlement; outages, events, the broker's health."""
