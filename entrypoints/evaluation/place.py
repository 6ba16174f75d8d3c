"""Where the result is to be written: looked at before hours of measuring, which must not be in vain."""

from pathlib import Path

from adapters.whole_file import check_place
from entrypoints.terminal.console import ExitCode, fail


def require_writable(path: Path) -> None:
    """End with exit code 2 where no file can be written."""
    if not path.parent.is_dir():
        fail(f"there is no folder {path.parent} to write {path.name} to", ExitCode.USAGE)
    try:
        check_place(path)
    except OSError as error:
        fail(f"cannot write {path}: {error.strerror}", ExitCode.USAGE)
