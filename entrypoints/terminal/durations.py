"""Lengths of time for people."""


def in_words(seconds: float) -> str:
    """Return a length of time in two units at most."""
    left = max(0, round(seconds))
    words = []
    for unit, length in (("d", 86_400), ("h", 3600), ("min", 60), ("s", 1)):
        count, left = divmod(left, length)
        if count:
            words.append(f"{count} {unit}")
    return " ".join(words[:2]) or "0 s"
