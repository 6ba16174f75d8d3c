"""What ``facematch index`` says of how often searches find the nearest user, and when that is a failure."""

import pytest

from adapters.faiss_codes.recall import Recall
from adapters.postgres.search_index.building import IndexReport
from adapters.postgres.search_index.filling import Difference
from entrypoints.commands.index import Outcome, print_outcomes

_AS_IT_SHOULD_BE = IndexReport("m@1", serves=True, bytes=1, difference=Difference(9_000, 9_000, 0, 0, 0))


@pytest.mark.parametrize(
    ("recall", "is_good", "words"),
    [
        (None, True, ()),
        (Recall(1_024, 0.998, 1_024, 0.998), True, ("for 99.8% of strangers, with a shortlist of 1,024",)),
        (Recall(1_024, 0.996, 2_048, 0.998), True, ("for 99.6% of strangers, with a shortlist of 1,024",)),
        (Recall(1_024, 0.993, 2_048, 1), False, ("for 99.3% of strangers", "a longer shortlist finds more")),
        (Recall(8_192, 0.942, 8_192, 0.942), True, ("for 94.2% of strangers", "a longer one finds no more")),
    ],
)
def test_a_shortlist_that_is_too_short_is_a_failure_where_a_longer_one_helps(
    capsys: pytest.CaptureFixture[str], recall: Recall | None, *, is_good: bool, words: tuple[str, ...]
) -> None:
    """Elsewhere it is a warning that says what it means; a few who are overlooked are worth neither."""
    outcome = Outcome(_AS_IT_SHOULD_BE, recall)
    print_outcomes([outcome])
    told = [line for line in capsys.readouterr().out.splitlines() if line.startswith("m@1: ")]
    assert outcome.is_good == is_good
    assert len(told) == len(words)
    assert all(word in line for word, line in zip(words, told, strict=True))
