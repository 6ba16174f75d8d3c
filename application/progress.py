"""How far something is."""

from collections.abc import Callable

Progress = Callable[[int, int], None]
"""Hears how many of how many are done."""
StepProgress = Callable[[str, int, int], None]
"""Hears what is done, how far it is, and of how much; 0 of 0 where nobody knows."""
