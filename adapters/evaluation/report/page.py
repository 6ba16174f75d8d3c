"""The report's page: what a reader wants to know first, and below it what it rests on."""

import math
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from html import escape
from importlib.resources import files
from pathlib import Path

from adapters.evaluation.report import markup, plots
from adapters.evaluation.wording import aim, percent, photographs, plain, small, too_few
from adapters.whole_file import OWNERS, write_whole
from domain.errors import FacematchError
from domain.evaluation.identification import GalleryFigures
from domain.evaluation.proportions import Proportion
from domain.evaluation.results import Evaluation, GroupFigures
from domain.evaluation.subjects import Subject

_FACES = {
    Subject.CENTRAL: "their central one counted here, while the service skips photographs on which it finds several",
    Subject.ONE: "the service skips these, and so does this report",
}


class ReportError(FacematchError):
    """The report cannot be written."""


def write_report(
    path: Path, evaluation: Evaluation, settings: Mapping[str, str], *, made: datetime, version: str
) -> None:
    """Write the page, in the place of an older one, for its owner alone: it names people.

    Raises:
        ReportError: it cannot be written.

    """
    page = render(evaluation, settings, made=made, version=version)
    try:
        write_whole(path, page.encode(), mode=OWNERS)
    except OSError as error:
        raise ReportError(f"cannot write {path}: {error.strerror}") from error


def render(evaluation: Evaluation, settings: Mapping[str, str], *, made: datetime, version: str) -> str:
    """Return the page: self-contained, without scripts, and with nothing to fetch.

    ``settings`` are what the service was measured with, by name.
    """
    acquisition = evaluation.acquisition
    title = f"How well {evaluation.embedder} tells these people apart"
    copies = f", without {acquisition.copies:,} copies" if acquisition.copies else ""
    lead = (
        f"{acquisition.photographs:,} photographs of {acquisition.people:,} people{copies}; "
        f"{acquisition.several_faces:,} show several faces: {_FACES[evaluation.subject]}. "
        f"facematch {version}, {made:%Y-%m-%d %H:%M} UTC."
    )
    body = "".join(
        [
            markup.text("h1", title),
            markup.text("p", lead, "lead"),
            markup.text("p", "; ".join(f"{name}={value}" for name, value in settings.items()), "settings"),
            *_warnings(evaluation),
            f'<div class="cards">{"".join(_cards(evaluation))}</div>',
            *_sections(evaluation),
        ]
    )
    style = files(__package__).joinpath("style.css").read_text(encoding="utf-8")
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>\n{style}</style>\n</head>\n<body>\n<main>\n{body}\n</main>\n"
        "</body>\n</html>\n"
    )


def _warnings(evaluation: Evaluation) -> Iterator[str]:
    if evaluation.grouping and evaluation.grouping.unknown:
        names = ", ".join(evaluation.grouping.unknown)
        yield markup.text("p", f"groups.csv names people who have no photographs here: {names}.", "warning")
    if evaluation.target_fpir is not None and (strangers := evaluation.too_few_strangers):
        yield markup.text("p", too_few(strangers, evaluation.target_fpir), "warning")


def _cards(evaluation: Evaluation) -> Iterator[str]:
    if largest := evaluation.largest:
        among = f"among {largest.as_configured.gallery:,} enrolled people"
        named, missed = largest.as_configured.false_positive, largest.as_configured.false_negative
        target, over = "", False
        if evaluation.target_fpir is not None:
            target = f"; the target is {aim(evaluation.target_fpir)}"
            over = named.interval[0] > evaluation.target_fpir
        yield markup.card(plain(named), "Strangers named", f"{_interval(named)}, {among}{target}", bad=over)
        yield markup.card(plain(missed), "Enrolled people missed", f"{_interval(missed)}, {among}")
    lost = evaluation.acquisition.failure_to_acquire
    yield markup.card(plain(lost, 2), "No usable face", f"{_interval(lost, 2)}, {lost.count:,} of {lost.total:,}")
    if verification := evaluation.verification:
        detail = f"± {verification.deviation:.2%} between {verification.folds} parts, {verification.pairs:,} pairs"
        yield markup.card(f"{verification.accuracy:.2%}", "Pairs judged rightly", detail)
    if speed := evaluation.acquisition.per_second:
        stages = ", ".join(f"{stage} {mean:.0f} ms" for stage, mean in evaluation.acquisition.milliseconds.items())
        yield markup.card(f"{speed:.0f} / s", "Photographs read", stages)


def _sections(evaluation: Evaluation) -> Iterator[str]:
    if evaluation.galleries:
        yield markup.section("Searching among everybody enrolled", _searching(evaluation))
    if evaluation.curve:
        yield markup.section("Comparing two photographs", _comparing(evaluation))
    yield markup.section("Photographs without a usable face", _acquiring(evaluation))
    if evaluation.discards:
        yield markup.section("What refusing poor photographs would gain", _discarding(evaluation))
    if evaluation.groups:
        yield markup.section("Groups", _groups(evaluation))
    yield markup.section("How to read this", _reading())


def _searching(evaluation: Evaluation) -> Iterator[str]:
    yield markup.text(
        "p",
        "A photograph is searched for among all who are enrolled, and the nearest is named if near enough. A stranger "
        "who gets a name is a false positive (FPIR); an enrolled person who is not named, or gets another's name, is a "
        "false negative (FNIR). This is what the service does to people, with its settings. Both are shares of the "
        "photographs with a usable face: one without counts as not acquired (FTA), and not as missed.",
    )
    yield markup.picture(
        plots.galleries(evaluation.galleries, evaluation.target_fpir),
        "FPIR and FNIR against the number of enrolled people; the table has the figures",
        "As the service judges; bars are 95 % intervals, those of FPIR for these enrolled people. Dotted, and at best "
        "in the tables: the misses at the largest fixed distance that keeps the target on these very photographs, "
        "which nobody knows beforehand.",
    )
    largest = {figures.photographs: figures for figures in evaluation.galleries if figures.trade_off}
    if largest:
        yield markup.picture(
            plots.identification_trade_off(list(largest.values())),
            "FNIR against FPIR (DET), by multiples of the service's threshold; the tables have the service's figures",
            "What more or fewer strangers named would change. Along a curve, the service's threshold of each search is "
            "multiplied by one factor, which is 1 at the dot. In the shade, fewer than ten strangers' photographs were "
            "named.",
        )
    for number in sorted({figures.photographs for figures in evaluation.galleries}):
        yield markup.table(
            f"Everybody enrolled with {photographs(number)}",
            ["enrolled", "threshold", "FPIR", "FNIR", "misnamed", "rank 1", "FNIR at best"],
            [_gallery(figures) for figures in evaluation.galleries if figures.photographs == number],
        )
    if evaluation.named_strangers:
        yield markup.text(
            "p",
            "These strangers were named, the nearest first, among everybody enrolled with 1 photograph. Look at the "
            "photographs: one person under two names counts as a stranger named, though nobody was confused.",
        )
        yield markup.table(
            "Strangers who were named",
            ["photograph", "named as", "distance"],
            [
                [markup.cell(one.photo), markup.cell(one.nearest), markup.cell(_distance(one.distance))]
                for one in evaluation.named_strangers
            ],
        )


def _gallery(figures: GalleryFigures) -> list[str]:
    as_configured, at_best = figures.as_configured, figures.at_best
    return [
        markup.cell(f"{as_configured.gallery:,}" + (f" x {figures.galleries}" if figures.galleries > 1 else "")),
        markup.cell(_distance(as_configured.threshold)),
        markup.share(as_configured.false_positive),
        markup.share(as_configured.false_negative),
        markup.cell(plain(as_configured.misnamed)),
        markup.cell(plain(figures.rank_one)),
        markup.cell(plain(at_best.false_negative) if at_best else "-"),
    ]


def _comparing(evaluation: Evaluation) -> Iterator[str]:
    yield markup.text(
        "p",
        f"{evaluation.impostor_pairs:,} pairs of different people and {evaluation.genuine_pairs:,} pairs of "
        "photographs of one person. A single comparison is not a search: among many enrolled people a stranger has as "
        "many chances to be taken for somebody.",
    )
    if evaluation.histogram:
        configured = evaluation.largest.as_configured if evaluation.largest else None
        yield markup.picture(
            plots.distances(evaluation.histogram, configured),
            "histogram of distances between photographs of one person and of different people",
            "Where the two overlap, no threshold is right for both.",
        )
    yield markup.picture(
        plots.error_trade_off(evaluation.curve, evaluation.points),
        "DET and ROC curves; the table has the figures",
        "Each point of a curve is a threshold; the dots are those of the table, with their distances.",
    )
    if evaluation.points:
        yield markup.table(
            "Thresholds",
            ["FMR", "distance", "FNMR", "calibrated distance", "FMR there"],
            [
                [
                    markup.cell(f"{point.rate:g}"),
                    markup.cell(_distance(point.distance)),
                    markup.share(point.false_non_match),
                    markup.cell(_distance(point.calibrated)),
                    markup.cell(small(point.false_match)),
                ]
                for point in evaluation.points
            ],
        )


def _acquiring(evaluation: Evaluation) -> Iterator[str]:
    acquisition = evaluation.acquisition
    lost = acquisition.failure_to_acquire
    if not lost.count:
        yield markup.text("p", "There is none: every photograph could be used.")
        return
    yield markup.text("p", f"{lost.count:,} of {lost.total:,} photographs could not be used: {percent(lost, 2)}.")
    yield markup.table(
        "Reasons",
        ["reason", "photographs"],
        [
            [markup.cell(reason), markup.cell(f"{count:,}")]
            for reason, count in sorted(acquisition.not_acquired.items(), key=lambda item: -item[1])
        ],
    )


def _discarding(evaluation: Evaluation) -> Iterator[str]:
    yield markup.text(
        "p",
        "Photographs are refused from the poorest on, by one measure of quality at a time, and those that are left are "
        "compared at one and the same distance. A measure is worth its price where the curve falls steeply: whoever is "
        "refused has no usable face (FTA).",
    )
    yield markup.picture(
        plots.discards(evaluation.discards),
        "FNMR against the share of photographs refused; the tables have the figures",
        "Bars are 95 % intervals.",
    )
    for curve in evaluation.discards:
        yield markup.table(
            f"Refused by {curve.quality}",
            [f"least {curve.quality}", "refused", "FNMR of those left", "FTA"],
            [
                [
                    markup.cell(f"{point.minimum:.4g}"),
                    markup.cell(plain(point.discarded)),
                    markup.share(point.false_non_match),
                    markup.cell(plain(point.not_acquired)),
                ]
                for point in curve.points
            ],
        )


def _groups(evaluation: Evaluation) -> Iterator[str]:
    figures = evaluation.groups
    distance = figures[0].distance
    at = "" if distance is None else f" FMR and FNMR are at a distance of {_distance(distance)}, for all alike."
    yield markup.text(
        "p",
        "People of one group are often more alike than people at large, so that FMR, within the group, is what tells "
        f"whether a group is confused more often.{at} FPIR and FNIR are those of the group's strangers and enrolled "
        "people in the search among everybody. Where intervals overlap, the difference may be chance; a wide one says "
        "that the group has too few people to tell, and not that it fares as well as others.",
    )
    scales = [_scale(figures, name) for name in ("false_match", "false_non_match", "false_positive", "false_negative")]
    yield markup.table(
        "Errors by group",
        ["group", "people", "FTA", "FMR", "FNMR", "FPIR", "FNIR"],
        [
            [
                markup.cell(one.group),
                markup.cell(f"{one.people:,}"),
                markup.cell(plain(one.not_acquired)),
                markup.bar(one.false_match, scales[0], 2),
                markup.bar(one.false_non_match, scales[1]),
                markup.bar(one.false_positive, scales[2]),
                markup.bar(one.false_negative, scales[3]),
            ]
            for one in figures
        ],
    )
    if evaluation.grouping and evaluation.grouping.ungrouped:
        yield markup.text("p", f"{len(evaluation.grouping.ungrouped):,} people are in no group.")


def _scale(figures: Sequence[GroupFigures], name: str) -> float:
    shares: list[Proportion] = [getattr(one, name) for one in figures]
    return max((share.interval[1] for share in shares if share.total), default=1.0)


def _reading() -> Iterator[str]:
    terms = {
        "FMR, FNMR": "false match, false non-match: two photographs compared, judged wrongly.",
        "FPIR, FNIR": "false positive, false negative identification: one photograph searched for among all enrolled.",
        "FTA": "failure to acquire: no usable face on a photograph, several faces (unless the central one counted), or "
        "one that the settings refuse: too small, too uncertain or too blurred.",
        "distance": "cosine distance of two embeddings, from 0 (alike) to 2. It belongs to this embedder alone.",
        "[…]": "95 % interval. It knows that a person's photographs are alike, and of FMR that all pairs with one "
        "person are (the variance between people). While fewer than ten people have an error, each person counts once: "
        "the interval is wide then, because so few people cannot tell. That of FPIR holds for the people who are "
        "enrolled here: every stranger is searched for among the same, and among others the share may lie outside it.",
        "who is who": "People with several photographs are enrolled with their first (by name) and searched for with "
        "the others; people with one photograph are the strangers. Where these are fewer, every other one of those "
        "with several is a stranger, too, until both are about as many. “20 x 25” are 25 galleries of 20 people who "
        "share nobody.",
        "what it says": "It holds for people and pictures like these. Groups that are few here may fare worse.",
    }
    entries = "".join(f"{markup.text('dt', term)}{markup.text('dd', meaning)}" for term, meaning in terms.items())
    yield f"<dl>{entries}</dl>"


def _distance(distance: float) -> str:
    return f"{distance:.4f}" if math.isfinite(distance) else "none"


def _interval(share: Proportion, digits: int = 1) -> str:
    low, high = share.interval
    return f"95 %: {low * 100:.{digits}f}-{high * 100:.{digits}f} %"
