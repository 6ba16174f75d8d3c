"""How figures are written for people."""

from domain.evaluation.proportions import Proportion


def percent(share: Proportion, digits: int = 1) -> str:
    """Return a share with its 95 % interval, or a dash for a share of nothing."""
    if share.value is None:
        return "-"
    low, high = share.interval
    return f"{share.value:.{digits}%} [{low * 100:.{digits}f}-{high * 100:.{digits}f}]"


def aim(share: float) -> str:
    """Return a share that is aimed at, with all its digits: it may be very small."""
    return f"{100 * share:.6g}%"


def too_few(strangers: Proportion, target: float) -> str:
    """Return that strangers are too few to show that a target is kept, and what they could show at best."""
    return (
        f"Too few strangers to tell whether the target of {aim(target)} is kept: if none of these "
        f"{strangers.total:,} photographs had been named, FPIR could still be {strangers.least_to_show:.1%}."
    )


def photographs(count: int) -> str:
    """Return how many photographs somebody is enrolled with."""
    return "1 photograph" if count == 1 else f"{count} photographs"


def plain(share: Proportion, digits: int = 1) -> str:
    """Return a share without its interval, or a dash for a share of nothing."""
    return "-" if share.value is None else f"{share.value:.{digits}%}"


def small(share: Proportion) -> str:
    """Return a share that may be very small with its 95 % interval, or a dash for a share of nothing."""
    low, high = share.interval
    return "-" if share.value is None else f"{share.value:.2g} [{low:.2g}-{high:.2g}]"
