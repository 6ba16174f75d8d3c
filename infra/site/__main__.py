"""Build the site: ``python -m infra.site [FOLDER]``; anything that MkDocs warns of, a broken link above all, fails."""

import logging
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from mkdocs.commands.build import build
from mkdocs.config import load_config
from mkdocs.exceptions import Abort

from infra.site.staging import stage

ROOT: Final = Path(__file__).resolve().parents[2]


def build_site(into: Path) -> None:
    """Stage the documentation and build the site in a folder, which is emptied first.

    Raises:
        Abort: MkDocs has something against it, and has said what on standard error.

    """
    with TemporaryDirectory() as staged:
        stage(ROOT, Path(staged))
        configuration = Path(__file__).with_name("mkdocs.yml")
        build(load_config(str(configuration), docs_dir=staged, site_dir=str(into), strict=True))


def main() -> None:
    """Run the program."""
    logging.basicConfig(format="%(levelname)s: %(message)s", level=logging.WARNING)
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "site"
    try:
        build_site(folder)
    except Abort as refused:
        sys.exit(str(refused))
    sys.stdout.write(f"The site begins at {folder / 'index.html'}\n")


if __name__ == "__main__":
    main()
