"""The report: one page that needs nothing else, and says what was counted."""

import base64
import math
import re
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree as ET

import attrs
import pytest

from adapters.evaluation.report.page import ReportError, render, write_report
from adapters.evaluation.report.plots import identification_trade_off
from domain.evaluation.comparison import CurvePoint, Histogram, OperatingPoint
from domain.evaluation.discard import DiscardCurve, DiscardPoint
from domain.evaluation.identification import GalleryFigures, Identification, Searched
from domain.evaluation.proportions import Proportion
from domain.evaluation.results import Acquisition, Evaluation, GroupFigures, Grouping
from domain.evaluation.subjects import Subject
from domain.evaluation.verification import Verification
from domain.outcomes import Reason

MADE = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
SETTINGS = {"FACEMATCH_MATCH_MARGIN": "0.0", "FACEMATCH_MATCH_CALIBRATION": "<own>.json (203 people)"}
CURVE = (CurvePoint(0.05, 1e-5, 0.4), CurvePoint(0.09, 1e-2, 0.01), CurvePoint(0.4, 1.0, 0.0))
NOTHING = Proportion(0, 0)
_VOID = {"meta", "img", "line"}


def gallery(photographs: int, people: int, threshold: float = 0.05) -> GalleryFigures:
    """Return figures of a gallery."""
    found = Identification(people, threshold, Proportion(3, 400), Proportion(37, 100), Proportion(1, 100))
    return GalleryFigures(photographs, 2, Proportion(98, 100), found, found if people > 20 else None, CURVE)


BARE = Evaluation(
    embedder="mine@1",
    subject=Subject.CENTRAL,
    target_fpir=0.01,
    acquisition=Acquisition(
        people=1,
        photographs=1,
        known=0,
        seconds=0.0,
        milliseconds={},
        failure_to_acquire=Proportion(0, 1),
        not_acquired={},
        unread={},
    ),
    verification=None,
    impostor_pairs=0,
    genuine_pairs=0,
    points=(),
    curve=(),
    histogram=None,
    galleries=(),
    named_strangers=(),
    discards=(),
    groups=(),
    grouping=None,
)
FULL = attrs.evolve(
    BARE,
    acquisition=Acquisition(
        people=1_639,
        photographs=3_585,
        known=0,
        seconds=100.0,
        milliseconds={"decode": 1.0, "detect": 20.0},
        failure_to_acquire=Proportion(17, 3_585),
        not_acquired={Reason.NO_FACE: 17},
        unread={},
        several_faces=64,
    ),
    verification=Verification(10, 6_000, 0.983, 0.004, 0.09),
    impostor_pairs=1_000_000,
    genuine_pairs=3_000,
    points=(OperatingPoint(0.001, 0.0747, Proportion(61, 1_000), 0.07, Proportion(900, 1_000_000)),),
    curve=CURVE,
    histogram=Histogram((0.0, 0.1, 0.2), (0.9, 0.1), (0.2, 0.8)),
    galleries=(gallery(1, 20), gallery(1, 833), gallery(3, 20, math.inf)),
    named_strangers=(Searched("eve", "eve/<b>1.jpg", "<i>ben", None, 0.0123, 0.05, True, 0.246),),
    discards=(
        DiscardCurve(
            "face size",
            (
                DiscardPoint(60.0, Proportion(0, 100), Proportion(1, 101), Proportion(6, 100)),
                DiscardPoint(90.0, Proportion(20, 100), Proportion(21, 101), Proportion(3, 80)),
            ),
        ),
    ),
    groups=(
        GroupFigures(
            group="<b>tall</b> & $dark$ 高",
            people=20,
            photographs=40,
            not_acquired=Proportion(1, 40),
            distance=0.0747,
            false_match=Proportion(2, 190),
            false_non_match=Proportion(1, 20),
            false_positive=NOTHING,
            false_negative=Proportion(3, 20),
        ),
    ),
    grouping=Grouping({}, ("<i>zoe</i>",), ("ann", "ben")),
)


class _Balance(HTMLParser):
    """Notices elements that are not closed, or closed in another order."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.pictures: list[str] = []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        """Remember what is open."""
        if tag == "img":
            given = dict(attributes)
            assert given["alt"]
            self.pictures.append(given["src"] or "")
        if tag not in _VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        """It is closed already."""
        self.handle_starttag(tag, attributes)

    def handle_endtag(self, tag: str) -> None:
        """Close the latest."""
        assert self.open.pop() == tag


def parsed(page: str) -> _Balance:
    """Return the page as a browser sees it."""
    seen = _Balance()
    seen.feed(page)
    seen.close()
    assert seen.open == []
    return seen


@pytest.fixture(scope="module")
def page() -> str:
    """Return the page of :data:`FULL`."""
    return render(FULL, SETTINGS, made=MADE, version="1.2.3")


def test_it_needs_nothing_else(page: str) -> None:
    """No script, no link, nothing to fetch: every picture is in the page, as SVG that can be drawn."""
    pictures = parsed(page).pictures
    assert len(pictures) == 5
    for picture in pictures:
        head, _, data = picture.partition(",")
        assert head == "data:image/svg+xml;base64"
        drawing = ET.fromstring(base64.b64decode(data))  # noqa: S314 - drawn by ourselves
        assert drawing.tag == "{http://www.w3.org/2000/svg}svg"
    assert not re.search(r"<(script|link|iframe|object)|\bsrc=\"(?!data:)|\bhref=|url\(|@import", page)


def test_it_says_what_was_counted(page: str) -> None:
    """The first figures, the tables and how to read them."""
    for told in (
        "How well mine@1 tells these people apart",
        "3,585 photographs of 1,639 people",
        "64 show several faces: their central one counted here, while the service skips",
        "facematch 1.2.3, 2026-01-02 03:04 UTC",
        "FACEMATCH_MATCH_MARGIN=0.0; FACEMATCH_MATCH_CALIBRATION=&lt;own&gt;.json (203 people)",
        "98.30%",
        "0.0009 [0.00084-0.00096]",
        "among 833 enrolled people",
        "the target is 1%",
        "Everybody enrolled with 1 photograph<",
        "Everybody enrolled with 3 photographs<",
        "20 x 2",
        "0.0747",
        "Strangers who were named",
        "0.0123",
        "no_face",
        "36 / s",
        "Refused by face size",
        "2 people are in no group",
        "That of FPIR holds for the people who are enrolled here",
    ):
        assert told in page, told


def test_names_cannot_become_markup(page: str) -> None:
    """Groups and people are called whatever their owner likes."""
    assert "&lt;b&gt;tall&lt;/b&gt; &amp; $dark$ 高" in page
    assert "&lt;i&gt;zoe&lt;/i&gt;" in page
    assert "eve/&lt;b&gt;1.jpg" in page
    assert "&lt;i&gt;ben" in page
    assert "<b>1" not in page
    assert "<i>ben" not in page
    assert "<b>tall" not in page
    assert "<i>zoe" not in page


def test_with_hardly_anything_counted_it_is_still_a_page() -> None:
    """One photograph of one person."""
    page = render(BARE, SETTINGS, made=MADE, version="1.2.3")
    assert parsed(page).pictures == []
    assert "every photograph could be used" in page
    assert "Searching among" not in page


def test_the_same_figures_give_the_same_page(page: str) -> None:
    """Two reports can be compared."""
    assert render(FULL, SETTINGS, made=MADE, version="1.2.3") == page


def test_too_many_strangers_named_is_marked(page: str) -> None:
    """Where even the interval lies above the target, and not where it may be chance."""
    worse = attrs.evolve(FULL.galleries[1].as_configured, false_positive=Proportion(40, 400))
    bad = attrs.evolve(FULL, galleries=(attrs.evolve(FULL.galleries[1], as_configured=worse),))
    assert 'class="card bad"' in render(bad, SETTINGS, made=MADE, version="1")
    assert 'class="card bad"' not in page


@pytest.mark.parametrize(("strangers", "is_told"), [(380, True), (381, False)])
def test_too_few_strangers_are_told(strangers: int, *, is_told: bool) -> None:
    """Of these, none that was named would still not be a hundredth."""
    found = attrs.evolve(FULL.galleries[1].as_configured, false_positive=Proportion(0, strangers))
    figures = attrs.evolve(FULL.galleries[1], as_configured=found)
    page = render(attrs.evolve(FULL, galleries=(figures,)), SETTINGS, made=MADE, version="1")
    assert ("Too few strangers to tell whether the target of 1% is kept" in page) == is_told


def test_where_a_fixed_distance_decides_nothing_is_judged_by_a_target() -> None:
    """The share of strangers named is told without a word on what it should be."""
    worse = attrs.evolve(FULL.galleries[1].as_configured, false_positive=Proportion(40, 400))
    bad = attrs.evolve(FULL.galleries[1], as_configured=worse, at_best=None)
    page = render(attrs.evolve(FULL, galleries=(bad,), target_fpir=None), SETTINGS, made=MADE, version="1")
    assert ("10.0%" in page, "the target is" in page, 'class="card bad"' in page) == (True, False, False)


def test_a_place_that_cannot_be_written_to_is_said(tmp_path: Path) -> None:
    """With its name; a good place gets the page, which only its owner may read: it names people."""
    write_report(tmp_path / "report.html", BARE, SETTINGS, made=MADE, version="1")
    assert (tmp_path / "report.html").stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "report.html").read_text().startswith("<!doctype html>")
    with pytest.raises(ReportError, match=r"cannot write .*gone"):
        write_report(tmp_path / "gone" / "report.html", BARE, SETTINGS, made=MADE, version="1")


def test_without_a_stranger_there_is_no_share_of_them() -> None:
    """One person with two photographs: nobody to be named wrongly, and no place on a logarithmic axis."""
    alone = Identification(1, 0.05, Proportion(0, 0), Proportion(0, 2), Proportion(0, 2))
    galleries = (GalleryFigures(1, 1, Proportion(2, 2), alone, None, ()),)
    assert "Searching among" in render(attrs.evolve(FULL, galleries=galleries), SETTINGS, made=MADE, version="1")


@pytest.mark.parametrize("points", [(), (OperatingPoint(0.1, 0.2, Proportion(0, 9), 0.2, Proportion(1, 10)),)])
def test_where_nobody_was_missed_the_page_says_so(points: tuple[OperatingPoint, ...]) -> None:
    """Few people are often told apart without an error: zero has no place on a logarithmic axis."""
    curve = (CurvePoint(0.1, 0.1, 0.0), CurvePoint(0.2, 0.2, 0.0))
    found = attrs.evolve(gallery(1, 20), trade_off=curve)
    page = render(attrs.evolve(BARE, curve=curve, points=points, galleries=(found,)), SETTINGS, made=MADE, version="1")
    assert len(parsed(page).pictures) == 3


def test_a_single_point_draws_no_trade_off() -> None:
    """That no stranger was named does not say that nobody was missed: neither has a place on a logarithmic axis."""
    found = gallery(1, 20)
    [point, *_] = found.trade_off
    for alone in (attrs.evolve(point, false_positive=0.0, false_negative=1.0), attrs.evolve(point, false_positive=0.5)):
        assert "too few strangers were named" in identification_trade_off([attrs.evolve(found, trade_off=(alone,))])
