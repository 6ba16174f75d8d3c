"""Measuring: folders of photographs of known people, and distances by the million."""
