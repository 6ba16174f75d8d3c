"""Telling which settings nobody set, where an error is about them."""

import os

from entrypoints.environment.variables import is_set, variables
from entrypoints.settings import Settings


def naming_defaults(message: str) -> str:
    """Return an error's message that says of each setting it ends a reason with, in brackets, whether it is set.

    Where it is not, the default is told: whoever forgot a variable would look for the fault in a server.
    """
    for declared in variables(Settings):
        if not is_set(declared, os.environ):
            told = f"({declared.name} is not set; its default is {declared.default})"
            message = message.replace(f"({declared.name})", told)
    return message
