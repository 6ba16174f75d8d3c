"""The health endpoints as they are documented are the endpoints as they are."""

import re

from entrypoints.health import health_application
from entrypoints.service import Starting
from tests.unit.docs.pages import page


def test_the_reference_has_a_section_for_each_path() -> None:
    """Neither a path nor a section is missing."""
    application = health_application(Starting, lambda: ("text/plain", b""))
    paths = {resource.canonical for resource in application.router.resources()}
    assert set(re.findall(r"^## `(/\w+)`$", page("docs/reference/http.md").text, re.MULTILINE)) == paths
