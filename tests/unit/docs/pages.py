"""The documentation as the tests see it: pages, their headings, links, tables and code."""

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import attrs

ROOT = Path(__file__).resolve().parents[3]
_FENCE = re.compile(r"^ *```(\w*)\n(.*?)^ *```", re.MULTILINE | re.DOTALL)
_CODE_SPAN = re.compile(r"`([^`\n]+)`")
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^(#+) +(.+?) *$", re.MULTILINE)
_NOT_IN_AN_ANCHOR = re.compile(r"[^\w\- ]")
_DIVIDER = re.compile(r"\|[-| :]+\|")


@attrs.frozen
class CodeBlock:
    """One fenced block."""

    language: str
    code: str


@attrs.frozen
class Page:
    """One Markdown file."""

    path: Path

    def __str__(self) -> str:
        """Return the path as people write it."""
        return str(self.path.relative_to(ROOT))

    @property
    def text(self) -> str:
        """Everything."""
        return self.path.read_text(encoding="utf-8")

    @property
    def prose(self) -> str:
        """The text without fenced blocks."""
        return _FENCE.sub("", self.text)

    @property
    def links(self) -> list[str]:
        """Targets of all links and pictures."""
        return _LINK.findall(_CODE_SPAN.sub("", self.prose))

    @property
    def anchors(self) -> set[str]:
        """What ``#…`` can name, by GitHub's rules."""
        seen: Counter[str] = Counter()
        anchors = set()
        for _, heading in _HEADING.findall(self.prose):
            anchor = _NOT_IN_AN_ANCHOR.sub("", heading.lower()).replace(" ", "-")
            anchors.add(f"{anchor}-{seen[anchor]}" if seen[anchor] else anchor)
            seen[anchor] += 1
        return anchors

    @property
    def code_spans(self) -> list[str]:
        """What stands between single backticks."""
        return _CODE_SPAN.findall(self.prose)

    @property
    def blocks(self) -> list[CodeBlock]:
        """Fenced blocks in order, without the indentation that they share with their list item."""
        return [CodeBlock(language, _dedented(code)) for language, code in _FENCE.findall(self.text)]

    def code(self, language: str) -> list[str]:
        """Return the code of every block in that language."""
        return [block.code for block in self.blocks if block.language == language]

    def section(self, heading: str) -> str:
        """Return the text below a heading, up to the next one of its level or above."""
        [start] = [match for match in _HEADING.finditer(self.text) if match[2] == heading]
        for match in _HEADING.finditer(self.text, start.end()):
            if len(match[1]) <= len(start[1]):
                return self.text[start.end() : match.start()]
        return self.text[start.end() :]


def rows(text: str) -> Iterator[list[str]]:
    """Yield the cells of every row of every table, without their headers and without backticks."""
    lines = text.splitlines()
    for number, line in enumerate(lines):
        following = lines[number + 1] if number + 1 < len(lines) else ""
        if line.startswith("|") and not _DIVIDER.fullmatch(line) and not _DIVIDER.fullmatch(following):
            yield [cell.strip().replace("`", "") for cell in line.strip("|").split("|")]


def page(path: str) -> Page:
    """Return the page at a path below the root."""
    return Page(ROOT / path)


def pages() -> list[Page]:
    """Return everything that people read."""
    beside = [page(name) for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md")]
    return beside + [Page(path) for path in sorted((ROOT / "docs").rglob("*.md"))]


def _dedented(code: str) -> str:
    lines = code.splitlines(keepends=True)
    indent = min((len(line) - len(line.lstrip(" ")) for line in lines if line.strip()), default=0)
    return "".join(line[indent:] if line.strip() else line for line in lines)
