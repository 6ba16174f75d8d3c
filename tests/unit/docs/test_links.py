"""Nothing in the documentation points to what is not there."""

import pytest

from tests.unit.docs.pages import ROOT, Page, page, pages

_ELSEWHERE = ("https://", "http://", "mailto:")


@pytest.mark.parametrize("written", pages(), ids=str)
def test_every_relative_link_leads_somewhere(written: Page) -> None:
    """The file is there and, where a link names a heading, so is the heading."""
    broken = [link for link in written.links if not link.startswith(_ELSEWHERE) and not _resolves(written, link)]
    assert broken == []


def test_the_map_names_every_page() -> None:
    """A page that the index does not lead to is not found."""
    index = page("docs/index.md")
    linked = {(index.path.parent / link.partition("#")[0]).resolve() for link in index.links}
    missing = [str(other) for other in pages() if (ROOT / "docs") in other.path.parents and other.path not in linked]
    assert [name for name in missing if name != "docs/index.md"] == []


def _resolves(written: Page, link: str) -> bool:
    target, _, anchor = link.partition("#")
    path = (written.path.parent / target).resolve() if target else written.path
    if not path.is_relative_to(ROOT) or not path.exists():
        return False
    return not anchor or anchor in Page(path).anchors
