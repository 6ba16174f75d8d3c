"""Progress where nobody watches."""

from entrypoints.terminal.progress import ProgressLines, StepLines


def lines_of(seconds: list[float], of: int) -> list[str]:
    """Return what is written when each photograph is read at the next of these times."""
    written: list[str] = []
    times = iter([0.0, *seconds])
    lines = ProgressLines("reading photographs", written.append, lambda: next(times))
    for done, _ in enumerate(seconds, start=1):
        lines(done, of)
    return written


def test_a_line_now_and_then() -> None:
    """At most every 15 seconds, with how long it will take at this pace."""
    assert lines_of([5.0 * turn for turn in range(1, 8)], 1_000) == [
        "reading photographs: 3 of 1,000, about 1 h 23 min left",
        "reading photographs: 6 of 1,000, about 1 h 22 min left",
    ]


def test_nothing_is_foretold_before_anything_is_done() -> None:
    """However long that takes."""
    written: list[str] = []
    times = iter([0.0, 100.0, 200.0])
    lines = ProgressLines("switching users", written.append, lambda: next(times))
    lines(0, 9)
    assert written == []
    lines(3, 9)
    assert written == ["switching users: 3 of 9, about 6 min 40 s left"]


def test_a_quick_job_writes_nothing() -> None:
    """Nobody wants a line of what is over already."""
    assert lines_of([0.1, 0.2, 0.3], 3) == []


def test_each_step_is_written_when_it_begins() -> None:
    """However far it is."""
    written: list[str] = []
    lines = StepLines("dlib@2", written.append)
    for step, done in (("learning", 0), ("copying", 10), ("copying", 20), ("comparing", 0)):
        lines(step, done, 20)
    assert written == ["dlib@2: learning", "dlib@2: copying", "dlib@2: comparing"]


def test_times_are_told_as_people_tell_them() -> None:
    """In seconds, minutes or hours, as it takes."""
    assert lines_of([20.0], 3)[0].endswith("about 40 s left")
    assert lines_of([20.0], 5)[0].endswith("about 1 min 20 s left")
