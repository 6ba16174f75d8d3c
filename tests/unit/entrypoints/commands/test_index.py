"""What ``facematch index`` says of how often searches find the nearest user."""

import pytest

from application.operating.keep_index import IndexReport, Shortlist
from application.ports.codebooks import Recall
from application.ports.search_index import Difference
from entrypoints.commands.index import print_reports

SHORT, LONGER = Recall(1_024, 0.993), Recall(2_048, 1)
LONGEST = Recall(8_192, 0.942)


@pytest.mark.parametrize(
    ("shortlist", "words"),
    [
        (None, ()),
        (Shortlist(Recall(1_024, 0.996), LONGER), ("for 99.6% of strangers, with a shortlist of 1,024",)),
        (Shortlist(SHORT, LONGER), ("for 99.3% of strangers", "a longer shortlist finds more")),
        (Shortlist(LONGEST, LONGEST), ("for 94.2% of strangers", "a longer one finds no more")),
    ],
)
def test_who_is_overlooked_is_told(
    capsys: pytest.CaptureFixture[str], shortlist: Shortlist | None, words: tuple[str, ...]
) -> None:
    """With what it means, and what there is to do; a few who are overlooked are worth no warning."""
    difference = Difference(9_000, 9_000, 0, 0, 0)
    print_reports([IndexReport("m@1", serves=True, bytes=1, difference=difference, shortlist=shortlist)])
    told = [line for line in capsys.readouterr().out.splitlines() if line.startswith("m@1: ")]
    assert len(told) == len(words)
    assert all(word in line for word, line in zip(words, told, strict=True))
