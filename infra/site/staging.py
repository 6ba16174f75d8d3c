"""Everything that the site shows as one folder of Markdown: the documentation, and each file outside that it links to.

In the repository a page links to code where it lies. On the site such a file has a page of its own below ``source/``,
so that no link leads out of the site but those to other hosts.
"""

import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Final

from pygments.lexers import get_lexer_for_filename
from pygments.util import ClassNotFound

from infra.site.asyncapi import reference
from infra.site.diagrams import drawn

_DOCS: Final = PurePosixPath("docs")
_CODE_OR_LINK: Final = re.compile(
    r"(?P<code>^(?P<fence> *`{3,}).*?^(?P=fence) *$|`[^`\n]+`)|\]\((?P<target>[^)\s]+)\)", re.MULTILINE | re.DOTALL
)
_MERMAID: Final = re.compile(r"^```mermaid\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_ASYNCAPI: Final = re.compile(r"^<!-- asyncapi: (\S+) -->$", re.MULTILINE)
_ELSEWHERE: Final = ("https://", "http://", "mailto:", "#")
_NOT_SOURCE: Final = "__pycache__"
_HIDDEN: Final = "---\nsearch:\n  exclude: true\n---\n"


def stage(root: Path, into: Path) -> None:
    """Write the pages, pictures and files of ``root / "docs"`` and what they link to, directly or not."""
    shutil.copytree(root / _DOCS, into, dirs_exist_ok=True)
    shutil.copytree(Path(__file__).with_name("assets"), into / "assets")
    todo = [PurePosixPath(path.relative_to(root)) for path in sorted((root / _DOCS).rglob("*.md"))]
    done: set[PurePosixPath] = set()
    while todo:
        path = todo.pop()
        if path in done:
            continue
        done.add(path)
        written = _text(root, path)
        page = into / _place(root, path)
        page.parent.mkdir(parents=True, exist_ok=True)
        page.write_text(_drawn(_relinked(root, path, written), page, into), encoding="utf-8")
        todo += [target for target in _targets(root, path, written) if _is_shown(root, target)]


def _text(root: Path, path: PurePosixPath) -> str:
    """Return a page's Markdown: its own, or that which shows a file of another kind or lists a folder."""
    file = root / path
    if file.is_dir():
        inside = sorted(one for one in file.rglob("*") if one.is_file() and _NOT_SOURCE not in one.parts)
        listed = "\n".join(f"- [{one.relative_to(file)}]({one.relative_to(file)})" for one in inside)
        return f"{_HIDDEN}\n# {path}\n\n{listed}\n"
    text = file.read_text(encoding="utf-8")
    if path.suffix == ".md":
        rendered = _ASYNCAPI.sub(lambda marker: reference(file.parent / marker[1]), text)
        return rendered if path.is_relative_to(_DOCS) else _HIDDEN + rendered
    return f"{_HIDDEN}\n# {path}\n\n`````{_language(path)}\n{text}\n`````\n"


def _language(path: PurePosixPath) -> str:
    try:
        return str(get_lexer_for_filename(path.name).aliases[0])
    except (ClassNotFound, IndexError):
        return "text"


def _relinked(root: Path, path: PurePosixPath, text: str) -> str:
    """Return the text with its links as they lead on the site."""
    here = _place(root, path).parent

    def to_site(found: re.Match[str]) -> str:
        target = found["target"]
        if target is None or target.startswith(_ELSEWHERE):
            return found[0]
        name, _, anchor = target.partition("#")
        place = os.path.relpath(_place(root, _resolved(root, path, name)), here)
        return f"]({place}{'#' if anchor else ''}{anchor})"

    return _CODE_OR_LINK.sub(to_site, text)


def _targets(root: Path, path: PurePosixPath, text: str) -> Iterator[PurePosixPath]:
    """Yield what a page links to in the repository."""
    for found in _CODE_OR_LINK.finditer(text):
        target = found["target"]
        if target is not None and not target.startswith(_ELSEWHERE):
            yield _resolved(root, path, target.partition("#")[0])


def _resolved(root: Path, path: PurePosixPath, target: str) -> PurePosixPath:
    """Return what a relative target names, from the root of the repository; a folder's targets are relative to it."""
    base = path if (root / path).is_dir() else path.parent
    return PurePosixPath(os.path.normpath(base / target))


def _is_shown(root: Path, path: PurePosixPath) -> bool:
    """Tell whether a target needs a page: files of the documentation that are no pages lie there as they are."""
    return not path.is_relative_to(_DOCS) and (root / path).exists()


def _place(root: Path, path: PurePosixPath) -> PurePosixPath:
    """Return where on the site a file of the repository is."""
    if path.is_relative_to(_DOCS):
        return path.relative_to(_DOCS)
    if (root / path).is_dir():
        return "source" / path / "index.md"
    return "source" / (path if path.suffix == ".md" else path.with_name(f"{path.name}.md"))


def _drawn(text: str, page: Path, into: Path) -> str:
    """Return the text with pictures in the place of diagrams."""

    def picture(found: re.Match[str]) -> str:
        place = os.path.relpath(drawn(found[1], into / "diagrams"), page.parent)
        return f"![Diagram]({place}){{ .diagram }}"

    return _MERMAID.sub(picture, text)
