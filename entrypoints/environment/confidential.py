"""What the environment holds that must never be shown, in logs or in messages."""

import os

from entrypoints.environment import otel, variables
from entrypoints.settings import Settings


def secrets_of(settings: Settings) -> list[str]:
    """Return every such text in the settings, and in OpenTelemetry's variables."""
    return [*variables.secrets_of(settings), *otel.secrets_of(os.environ)]
