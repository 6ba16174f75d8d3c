"""The settings as they are documented are the settings as they are."""

import re

import pytest

from entrypoints.environment.variables import variables
from entrypoints.settings import Settings
from tests.unit.docs.pages import Page, page, pages, rows

_REFERENCE = page("docs/reference/settings.md")
_COLUMNS = 5
_BESIDE_THE_SETTINGS = {"FACEMATCH_CACHE"}
_NAME = re.compile(r"\bFACEMATCH_[A-Z0-9_]*[A-Z0-9]\b")


def test_the_reference_lists_every_setting_with_its_default_range_and_meaning() -> None:
    """One row each, in the order of the code; secrets are marked."""
    table_rows = [row for row in rows(_REFERENCE.text) if row[0].startswith("FACEMATCH_") and len(row) == _COLUMNS]
    assert table_rows == [
        [v.name, v.default, v.allowed, v.help.replace("`", ""), "yes" if v.secret else ""] for v in variables(Settings)
    ]


@pytest.mark.parametrize("written", pages(), ids=str)
def test_every_setting_that_is_named_exists(written: Page) -> None:
    """No page names a variable that nobody reads."""
    declared = variables(Settings)
    known = {variable.name for variable in declared} | _BESIDE_THE_SETTINGS
    known |= {f"{variable.name}_FILE" for variable in declared if variable.secret}
    assert set(_NAME.findall(written.text)) - known == set()
