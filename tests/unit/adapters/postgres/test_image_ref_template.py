"""Templates for references."""

import pytest

from adapters.postgres.photos import ImageRefTemplate, ImageRefTemplateError
from adapters.postgres.tables.catalogue import Column, Table

PHOTOS = Table(
    "App Data", "photos", {name: Column(kind) for name, kind in {"id": "uuid", "key": "text", "at": "date"}.items()}
)


@pytest.mark.parametrize(
    ("text", "columns"),
    [
        ("{image_ref}", ("image_ref",)),
        ("minio://images/{owner_id}/{id}.jpg", ("owner_id", "id")),
        ("{id}{id}", ("id",)),
        ("{{{Odd Name}}}", ("Odd Name",)),
    ],
)
def test_columns_stand_in_braces(text: str, columns: tuple[str, ...]) -> None:
    """Each once, in their order, whatever they are called."""
    assert ImageRefTemplate.of(text).columns == columns


@pytest.mark.parametrize(
    "text", ["", "photos/all.jpg", "{{id}}", "{}", "{id", "id}", "{id!r}", "{id:>3}", "{0:{id}}", "\udcff{id}"]
)
def test_everything_else_is_refused(text: str) -> None:
    """No column, no name, or more than a name."""
    with pytest.raises(ImageRefTemplateError, match=r"template|same image"):
        ImageRefTemplate.of(text)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{image_ref}", r"App Data.photos has no column image_ref; it has at, id, key"),
        ("{id}/{key.name}", r"no column key\.name"),
        ("{at}", r"App Data.photos.at is of type date"),
    ],
)
def test_a_column_must_be_there_and_be_text(text: str, words: str) -> None:
    """The error says which columns there are."""
    with pytest.raises(ImageRefTemplateError, match=words):
        ImageRefTemplate.of(text).expression(PHOTOS)
