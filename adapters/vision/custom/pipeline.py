"""The pipeline ``custom``: somebody's own recogniser, described by the file that FACEMATCH_EMBEDDER_FILE names.

The variable is read here, not handed over, because every process of the pool reads it too.
"""

import os
from pathlib import Path
from typing import Final

from adapters.vision.registry import UnconfiguredEmbedderError
from application.ports.face_pipeline import FacePipelineFactory

NAME: Final = "custom"
VARIABLE: Final = "FACEMATCH_EMBEDDER_FILE"


class CustomPipeline:
    """Reads the description when it is asked for; not before is anything imported that reads it."""

    def configured(self) -> FacePipelineFactory:
        """Return the factory of what is described.

        Raises:
            UnconfiguredEmbedderError: no description is named.
            MisdescribedEmbedderError: it cannot be read, or is wrong; the message lists everything that is wrong.

        """
        named = os.environ.get(VARIABLE, "").strip()
        if not named:
            raise UnconfiguredEmbedderError(f"not configured: set {VARIABLE} to the description of your recogniser")
        from adapters.vision.custom.factory import described  # noqa: PLC0415 - numpy and Pillow: only who needs them

        return described(Path(named))


custom_pipeline: Final = CustomPipeline()
