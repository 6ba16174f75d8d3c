"""What to do about an index that the application's tables lack."""


def advice_on_missing_index(statement: str) -> str:
    """Return the sentence about an index that this statement would make."""
    return f"every job needs this index; the owner can run: {statement}"
