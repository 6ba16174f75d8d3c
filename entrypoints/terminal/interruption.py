"""Being cut off by Ctrl-C: every command ends alike."""

import sys
from typing import Final, NoReturn

EXIT_CODE: Final = 130
"""128 and the number of SIGINT, by which shells know it."""


def end(told: str = "interrupted") -> NoReturn:
    """Say so on standard error, and end."""
    sys.stderr.write(f"{told}\n")
    sys.exit(EXIT_CODE)
