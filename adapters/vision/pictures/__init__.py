"""From an image's bytes to an upright picture, and how sharp it is."""
