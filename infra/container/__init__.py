"""The worker's image, the whole system in containers, and the check that the image works."""
