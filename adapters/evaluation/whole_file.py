"""Writing files that are there as a whole or not at all."""

import tempfile
from pathlib import Path


def write_whole(path: Path, content: str, *, mode: int) -> None:
    """Write the content in the place of an older file, with these permissions.

    Raises:
        OSError: it cannot be written; what was there before is still there.

    """
    with tempfile.NamedTemporaryFile("w", dir=path.parent, prefix=".", delete=False, encoding="utf-8") as file:
        part = Path(file.name)
        try:
            file.write(content)
            file.close()
            part.chmod(mode)
            part.replace(path)
        except BaseException:
            part.unlink(missing_ok=True)
            raise
