"""What to do about an index that the application's tables lack."""


def advice_on_missing_index(statement: str) -> str:
    """Return the sentence about an index that this statement would make."""
    how = "can run" if " CONCURRENTLY " in statement else "can run, which lets nobody write to the table meanwhile"
    return f"every job needs this index; the owner {how}: {statement}"
