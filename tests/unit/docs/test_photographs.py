"""Whose photographs the picture in the documentation shows is said beside it."""

from infra.photographs import Photographs
from tests.unit.docs.pages import page, rows


def test_the_source_and_terms_of_each_photograph_are_stated() -> None:
    """Those of every photograph that demo and tests use."""
    stated = [row[1:] for row in rows(page("docs/images/README.md").text)]
    assert stated == [[source.member, source.package, source.terms] for source in Photographs.sources()]
