"""``embedders``: what can be used to see."""

from collections.abc import Mapping
from typing import Annotated, Any

import attrs
import typer
from rich.table import Table

from adapters.vision import registry
from application.ports.face_pipeline import EmbedderInfo
from domain.calibration import LARGEST_GALLERY_WITH_COHORT
from domain.decision import COHORT_EXPONENT, COHORT_SIZE, SMALLEST_GALLERY_WITH_COHORT, SearchContext, TargetFpir
from entrypoints.configured import calibration
from entrypoints.terminal.console import err, load_settings, out, print_document

_GALLERIES = (20, 50, 1_000, 100_000)


def embedders(as_json: Annotated[bool, typer.Option("--json", help="Print one JSON array.")] = False) -> None:
    """List the face pipelines that FACEMATCH_EMBEDDER can name.

    These are the built-in ones and installed plugins. Standard error names plugins that cannot be used. An embedder
    that only lacks its configuration is listed with how to configure it.
    """
    settings = load_settings()
    known = {}
    unconfigured = {}
    for name in registry.known():
        try:
            info = registry.load(name).info
            active = name == settings.vision.embedder
            known[name] = attrs.evolve(info, calibration=calibration(settings.vision, info)) if active else info
        except registry.UnconfiguredEmbedderError as error:
            unconfigured[name] = str(error)
        except registry.BrokenEmbedderError as error:
            err.print(str(error))
    fpir = settings.vision.target_fpir
    if as_json:
        rows = [_row(name, info, fpir) | {"active": name == settings.vision.embedder} for name, info in known.items()]
        print_document(rows)
        return
    for name, info in known.items():
        grid = Table.grid(padding=(0, 2))
        grid.add_row("  id", f"{info.id}: {info.dimension} dimensions, {info.metric}")
        grid.add_row("  parts", info.description)
        grid.add_row("  licence", info.licence)
        grid.add_row("  threshold", threshold_in_words(info, fpir))
        out.print(name + (" (active)" if name == settings.vision.embedder else ""), style="bold")
        out.print(grid)
    for name, how in unconfigured.items():
        out.print(name, style="bold")
        out.print(f"  {how}")


def _row(name: str, info: EmbedderInfo, fpir: float) -> dict[str, Any]:
    return {
        "name": name,
        "id": info.id,
        "dimension": info.dimension,
        "metric": info.metric,
        "licence": info.licence,
        "description": info.description,
        "weights": [attrs.asdict(weights) for weights in info.weights],
        "thresholds": _thresholds(info, fpir),
        "cohort_factor": _cohort_factor(info, fpir),
    }


def _thresholds(info: EmbedderInfo, fpir: float) -> dict[int, float]:
    """Return the thresholds for templates of one photograph, by the size of the gallery alone."""
    policy = TargetFpir(fpir, info.calibration)
    return {users: round(policy.threshold(SearchContext(users)), 4) for users in _GALLERIES}


def _cohort_factor(info: EmbedderInfo, fpir: float) -> float | None:
    """Return the factor by which the threshold follows from the cohort; None where it was measured for no such FPIR."""
    return info.calibration.cohort_factor_at(fpir) if fpir >= info.calibration.lowest_fpir else None


def threshold_in_words(info: EmbedderInfo, fpir: float) -> str:
    """Say how near a user must be to be named, for templates of one photograph."""
    if info.calibration.is_one_distance:
        return f"{info.calibration.points[0][1]:.3f}, however many users: how many strangers are named was not measured"
    purpose = f"for a false positive identification rate of {fpir:g}"
    distances = _thresholds(info, fpir)
    factor = info.calibration.cohort_factor_at(fpir)
    if factor is None:
        return f"{_by_size(distances)} users, {purpose}"
    by_cohort = f"{factor:.3f} x m^{COHORT_EXPONENT:g}, m being the mean distance of the next {COHORT_SIZE}"
    if fpir < info.calibration.lowest_fpir:
        return f"{_by_size(distances)} users, from {SMALLEST_GALLERY_WITH_COHORT} on at most {by_cohort}, {purpose}"
    if fpir > info.calibration.highest_fpir:
        from_here = f"from {SMALLEST_GALLERY_WITH_COHORT} on {by_cohort} where that is more"
        return f"{_by_size(distances)} users, {from_here}, {purpose}"
    few = {users: distance for users, distance in distances.items() if users < SMALLEST_GALLERY_WITH_COHORT}
    many = {users: distance for users, distance in distances.items() if users > LARGEST_GALLERY_WITH_COHORT}
    return (
        f"{_by_size(few)} users, from {SMALLEST_GALLERY_WITH_COHORT} on {by_cohort}, above "
        f"{LARGEST_GALLERY_WITH_COHORT:,} at most as by their number ({_by_size(many)}), {purpose}"
    )


def _by_size(distances: Mapping[int, float]) -> str:
    return ", ".join(f"{distance:.3f} of {users:,}" for users, distance in distances.items())
