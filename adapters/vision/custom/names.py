"""What the pipeline for somebody's own recogniser, and the variable that describes it, are called."""

from typing import Final

NAME: Final = "custom"
VARIABLE: Final = "FACEMATCH_EMBEDDER_FILE"
