"""The plots of the report, as SVG."""

import io
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final

import attrs
from matplotlib import style
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter, PercentFormatter

from adapters.evaluation.wording import aim, photographs
from domain.evaluation.comparison import CurvePoint, Histogram, OperatingPoint
from domain.evaluation.discard import DiscardCurve
from domain.evaluation.identification import GalleryFigures, Identification
from domain.evaluation.proportions import LEAST_COUNTED, Proportion

GOOD: Final = "#0b6e99"
BAD: Final = "#c8501e"
_THIRD: Final = "#5f8d3a"
_INK: Final = "#26323a"
_FAINT: Final = "#8a979f"
_COLOURS: Final = (GOOD, _THIRD, BAD, "#7a5195")
_STYLE: Final = {
    "font.size": 9.5,
    "axes.edgecolor": _FAINT,
    "axes.labelcolor": _INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#e4e9ec",
    "grid.linewidth": 0.8,
    "axes.titlesize": 10.5,
    "axes.titlelocation": "left",
    "axes.titlecolor": _INK,
    "text.color": _INK,
    "xtick.color": _INK,
    "ytick.color": _INK,
    "legend.frameon": False,
    "legend.fontsize": 9,
    "lines.linewidth": 1.8,
    "svg.hashsalt": "facematch",
}
_MOST_UPRIGHT: Final = 5
"""So many labels of an axis fit side by side."""
_TOO_FEW = "too few strangers were named, or people missed"
_NARROW: Final = 1_000
"""A logarithmic axis whose ends differ by a smaller factor has room for more labels than its powers of ten."""


def distances(spread: Histogram, configured: Identification | None) -> str:
    """Return how the distances of one person's photographs and of different people's are spread."""
    with _drawing(8.4, 3.1) as drawing:
        axes = drawing.figure.subplots()
        for shares, colour, label in (
            (spread.genuine, GOOD, "one person"),
            (spread.impostor, BAD, "different people"),
        ):
            axes.stairs(shares, spread.edges, fill=True, color=colour, alpha=0.35)
            axes.stairs(shares, spread.edges, color=colour, label=label)
        if configured and math.isfinite(configured.threshold):
            at = configured.threshold, 0.97 * axes.get_ylim()[1]
            axes.axvline(at[0], color=_INK, linewidth=1, linestyle=(0, (4, 2)))
            label = f"threshold for {configured.gallery:,} users"
            axes.annotate(label, at, xytext=(4, 0), textcoords="offset points", va="top")
        axes.set(xlabel="cosine distance", ylabel="share of pairs", xlim=(0, spread.edges[-1]))
        axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
        axes.legend(loc="upper right")
        return drawing.svg()


def error_trade_off(curve: Sequence[CurvePoint], points: Sequence[OperatingPoint]) -> str:
    """Return the detection error trade-off and the receiver operating characteristic, side by side."""
    with _drawing(8.4, 3.6) as drawing:
        det, roc = drawing.figure.subplots(1, 2)
        missing = [point for point in curve if point.false_negative]  # zero has no place on a logarithmic axis
        det.plot([one.false_positive for one in missing], [one.false_negative for one in missing], color=GOOD)
        roc.plot([one.false_positive for one in curve], [1 - one.false_negative for one in curve], color=GOOD)
        for point in points:
            missed = point.false_non_match.value or 0.0
            roc.plot(point.rate, 1 - missed, "o", color=BAD, markersize=4)
            if missed:
                det.plot(point.rate, missed, "o", color=BAD, markersize=4)
                beside = {"xytext": (5, 3), "textcoords": "offset points", "fontsize": 8}
                det.annotate(f"{point.distance:.3f}", (point.rate, missed), **beside)
        for axes in (det, roc):
            axes.set_xlabel("FMR: different people taken for one")
            if axes is roc or missing:
                axes.set_xscale("log")
                axes.xaxis.set_major_formatter(FuncFormatter(_rate))
        det.set(title="Detection error trade-off (DET)", ylabel="FNMR: one person taken for two")
        if missing:
            det.set_yscale("log")
            _percents(det.yaxis)
        else:
            det.text(0.5, 0.5, "nobody was missed", transform=det.transAxes, ha="center", va="center")
            det.set(xticks=[], yticks=[])
        roc.set(title="Receiver operating characteristic (ROC)", ylabel="1 - FNMR: one person recognised")
        roc.yaxis.set_major_formatter(PercentFormatter(1))
        return drawing.svg()


def galleries(figures: Sequence[GalleryFigures], target: float | None) -> str:
    """Return what becomes of strangers and of the enrolled as the gallery grows, with 95 % intervals."""
    with _drawing(8.4, 3.6) as drawing:
        strangers, missed = drawing.figure.subplots(1, 2)
        numbers = sorted({one.photographs for one in figures})
        for number, colour in zip(numbers, _COLOURS, strict=False):
            own = [one for one in figures if one.photographs == number]
            sizes = [one.as_configured.gallery for one in own]
            label = f"enrolled with {photographs(number)}"
            _with_intervals(strangers, sizes, [one.as_configured.false_positive for one in own], colour, label)
            _with_intervals(missed, sizes, [one.as_configured.false_negative for one in own], colour, label)
            best = [
                (size, one.at_best.false_negative.value) for size, one in zip(sizes, own, strict=True) if one.at_best
            ]
            if best:
                missed.plot(*zip(*best, strict=True), color=colour, linewidth=1, linestyle=(0, (2, 2)))
        if target is not None:
            strangers.axhline(target, color=_INK, linewidth=1, linestyle=(0, (4, 2)))
            strangers.annotate(
                f"target {aim(target)}",
                (0.98, target),
                xycoords=("axes fraction", "data"),
                ha="right",
                va="bottom",
                fontsize=8.5,
            )
        strangers.set(title="Strangers who get a name (FPIR)")
        missed.set(title="Enrolled people who are missed (FNIR)")
        configured = [one.as_configured for one in figures]
        for axes, shares in (
            (strangers, [one.false_positive for one in configured]),
            (missed, [one.false_negative for one in configured]),
        ):
            axes.set(xlabel="people enrolled", ylim=(0, None))
            axes.yaxis.set_major_formatter(PercentFormatter(1))
            if all(share.value is None for share in shares):
                axes.set_xticks([])
                continue
            axes.set_xscale("log")
            sizes = [one.as_configured.gallery for one in figures if one.photographs == numbers[0]]
            axes.set_xticks(sizes, [f"{size:,}" for size in sizes], rotation=0 if len(sizes) <= _MOST_UPRIGHT else 30)
            axes.xaxis.set_minor_formatter(NullFormatter())
            axes.legend(loc="best")
        return drawing.svg()


def identification_trade_off(figures: Sequence[GalleryFigures]) -> str:
    """Return the detection error trade-off of searches, with the service on it; too few were named in the shade."""
    with _drawing(8.4, 3.6) as drawing:
        axes = drawing.figure.subplots()
        axes.set(title="Detection error trade-off of the searches (DET)")
        axes.set(xlabel="FPIR: strangers who get a name", ylabel="FNIR: enrolled people who are missed")
        missing = [
            [point for point in one.trade_off if point.false_positive and point.false_negative] for one in figures
        ]
        if not any(len(curve) > 1 for curve in missing):  # zero has no place on a logarithmic axis
            axes.text(0.5, 0.5, _TOO_FEW, transform=axes.transAxes, ha="center", va="center")
            axes.set(xticks=[], yticks=[])
            return drawing.svg()
        axes.set(xscale="log", yscale="log")
        for one, curve, colour in zip(figures, missing, _COLOURS, strict=False):
            both = [point.false_positive for point in curve], [point.false_negative for point in curve]
            service = one.as_configured
            axes.plot(*both, color=colour, label=f"{service.gallery:,} enrolled with {photographs(one.photographs)}")
            named, missed = service.false_positive.value, service.false_negative.value
            if named and missed:
                axes.plot(named, missed, "o", color=BAD, markersize=5)
                axes.annotate("the service", (named, missed), xytext=(6, 4), textcoords="offset points", fontsize=8)
        axes.margins(y=0.12)  # room for what is written beside a dot
        left = axes.get_xlim()[0]
        strangers = min(one.as_configured.false_positive.total for one in figures)
        unsure = LEAST_COUNTED / max(LEAST_COUNTED, strangers)
        if unsure > left:
            axes.axvspan(left, unsure, color=_FAINT, alpha=0.15, linewidth=0)
            axes.set_xlim(left=left)
        for axis, (low, high) in ((axes.xaxis, axes.get_xlim()), (axes.yaxis, axes.get_ylim())):
            axis.set_major_locator(LogLocator(subs=(1, 2, 5) if high < _NARROW * low else (1,)))
            _percents(axis)
        axes.legend(loc="best")
        return drawing.svg()


def discards(curves: Sequence[DiscardCurve]) -> str:
    """Return what it gains to refuse poor photographs, with 95 % intervals."""
    with _drawing(8.4, 3.0) as drawing:
        axes = drawing.figure.subplots()
        for curve, colour in zip(curves, _COLOURS, strict=False):
            refused = [point.discarded.value or 0.0 for point in curve.points]
            _with_intervals(axes, refused, [point.false_non_match for point in curve.points], colour, curve.quality)
        axes.set(xlabel="photographs refused", ylabel="FNMR of those left", ylim=(0, None))
        axes.xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
        axes.yaxis.set_major_formatter(PercentFormatter(1))
        axes.legend(loc="best")
        return drawing.svg()


@attrs.frozen
class _Drawing:
    """A figure in the report's style."""

    figure: Figure

    def svg(self) -> str:
        """Return it as SVG; the same figure gives the same text."""
        file = io.StringIO()
        self.figure.savefig(file, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
        return file.getvalue()


@contextmanager
def _drawing(width: float, height: float) -> Iterator[_Drawing]:
    """Yield an empty figure of that size in inches; the style is nobody else's."""
    with style.context(["default", _STYLE]):
        yield _Drawing(Figure(figsize=(width, height), layout="constrained"))


def _with_intervals(axes: Axes, places: Sequence[float], shares: Sequence[Proportion], colour: str, label: str) -> None:
    known = [
        (place, share.value, *share.interval)
        for place, share in zip(places, shares, strict=True)
        if share.value is not None
    ]
    axes.plot(
        [place for place, *_ in known],
        [value for _, value, *_ in known],
        color=colour,
        marker="o",
        markersize=3.5,
        label=label,
    )
    axes.vlines(
        [place for place, *_ in known],
        [low for *_, low, _ in known],
        [high for *_, high in known],
        color=colour,
        linewidth=1.2,
        alpha=0.55,
    )


def _percents(axis: Axis) -> None:
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value * 100:g} %"))
    axis.set_minor_formatter(NullFormatter())


def _rate(value: float, _position: int) -> str:
    power = round(math.log10(value)) if value > 0 else 0
    return "1" if power == 0 else f"$10^{{{power}}}$"
