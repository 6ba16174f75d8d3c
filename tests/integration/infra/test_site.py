"""The site that is made of the documentation."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from infra.site.__main__ import ROOT, build_site
from infra.site.asyncapi import reference
from tests.unit.docs.pages import Page, pages

_ASYNCAPI = ROOT / "docs" / "reference" / "asyncapi.yaml"
_FETCHED = re.compile(r'<(?:script|img|iframe|source)[^>]*\ssrc="([^"]*)"|<link[^>]*\shref="([^"]*)"')
_NOT_OF_ITS_ITEM = re.compile(r"\n\n {1,3}\S.*")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built strictly: a broken link or anchor, or a page without a place in the navigation, fails."""
    folder = tmp_path_factory.mktemp("site")
    build_site(folder)
    return folder


def test_every_page_is_there_and_fetches_nothing_from_other_hosts(site: Path) -> None:
    """Scripts, styles, fonts and pictures are the site's own, the drawn diagrams too."""
    html = {path.relative_to(site).as_posix(): path.read_text(encoding="utf-8") for path in site.rglob("*.html")}
    assert {"index.html", "tutorial/first-match.html", "source/index.html", "source/domain/decision.py.html"} <= set(
        html
    )
    fetched = {"".join(found) for text in html.values() for found in _FETCHED.findall(text)}
    assert {target for target in fetched if target.startswith(("http:", "https:", "//"))} == set()
    assert "mermaid" not in html["explanation/architecture.html"]
    assert html["explanation/architecture.html"].count(".svg") == 2


def test_the_asyncapi_page_has_every_channel_message_field_and_example(site: Path) -> None:
    """What the document says is on the site, by name."""
    document: dict[str, Any] = yaml.safe_load(_ASYNCAPI.read_text(encoding="utf-8"))
    written = reference(_ASYNCAPI)
    assert [
        channel["address"] for channel in document["channels"].values() if f"`{channel['address']}`" not in written
    ] == []
    assert [op["title"] for op in document["operations"].values() if f" | {op['title']}. " not in written] == []
    for message in document["components"]["messages"].values():
        assert f"## {message['title']}\n" in written
        headers = document["components"]["schemas"][message["headers"]["$ref"].rpartition("/")[2]]
        assert [name for name in headers["properties"] if f"| `{name}` | " not in written] == []
        if "schema" not in message["payload"]:
            continue
        schema = json.loads((_ASYNCAPI.parent / message["payload"]["schema"]["$ref"]).read_text(encoding="utf-8"))
        assert [name for name in schema["properties"] if f"| `{name}` | " not in written] == []
        assert [one for one in schema.get("examples", ()) if json.dumps(one, indent=2) not in written] == []
    schemas = [path.name for path in sorted((site / "reference" / "schemas").iterdir())]
    assert schemas == ["forget.json", "job.json", "log-line.json", "result-event.json"]
    page = (site / "reference" / "asyncapi.html").read_text(encoding="utf-8")
    assert page.count("<table>") == written.count("|---|---|")


@pytest.mark.parametrize("page", pages(), ids=str)
def test_what_belongs_to_an_item_of_a_list_is_indented_for_the_site_too(page: Page) -> None:
    """By four spaces after an empty line: fewer are enough for some readers of Markdown, not for MkDocs."""
    assert _NOT_OF_ITS_ITEM.findall(page.prose) == []
