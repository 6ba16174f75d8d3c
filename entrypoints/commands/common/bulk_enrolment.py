"""What the commands have in common that enrol many users: the list that they take, and what they tell."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from uuid import UUID

import attrs
import typer

from application.enrolment.bulk import EnrolmentResult
from entrypoints.commands.common.enrolment_warnings import documented, in_words
from entrypoints.commands.common.portraits import PortraitListError, portraits
from entrypoints.terminal.console import ExitCode, err, fail, out, print_line, told_at_the_end, visible
from entrypoints.terminal.quantities import quantity


def photographs_of(listed: typer.FileText) -> Mapping[UUID, Sequence[str]]:
    """Return each user's photographs, or end with exit code 2."""
    try:
        return portraits(listed)
    except PortraitListError as error:
        fail(f"{listed.name}, {error}", ExitCode.USAGE)


def problems_of(user: EnrolmentResult) -> tuple[str, ...]:
    """Return why nothing was stored, in words; nothing where something was."""
    return tuple(map(in_words, user.warnings)) if user.is_doubted else user.problems


def document(user: EnrolmentResult, verb: str) -> dict[str, object]:
    """Return for machines what came of one user; ``verb`` is what was to be done."""
    problems = problems_of(user)
    return {
        "user_id": str(user.user_id),
        verb: not problems,
        "photographs": user.photographs,
        "problems": problems,
        "warnings": [documented(warning) for warning in user.warnings],
    }


@attrs.define
class EnrolmentReport:
    """Tells machines of each user; people of those of whom the ``verb`` is not true, and of warnings."""

    verb: str
    embedder: str
    as_json: bool
    passed_over: int = 0
    not_compared: int = 0
    not_searched: str | None = None
    _done: int = 0
    _refused: int = 0
    _doubted: int = 0

    def __call__(self, user: EnrolmentResult) -> None:
        """Tell of one."""
        if problems_of(user):
            self._refused += 1
        else:
            self._done += 1
        self._doubted += user.is_doubted
        self.tell_again(user)

    def tell_again(self, user: EnrolmentResult) -> None:
        """Tell of one who is counted already."""
        problems = problems_of(user)
        if self.as_json:
            print_line(document(user, self.verb))
        elif problems:
            out.print(visible(f"{user.user_id}: {'; '.join(problems)}"))
        if not problems:
            for warning in user.warnings:
                err.print(f"Warning: {visible(f'user {user.user_id}: {in_words(warning)}')}")

    def summarised(self) -> AbstractContextManager[None]:
        """Say at the end how many they were, also where it comes before everybody was looked at."""
        return told_at_the_end(self._summarise)

    def _summarise(self, so_far: str) -> None:
        if so_far and not (self._done or self._refused):
            return
        parts = [f"{quantity(self._done, 'user')} {self.verb} with {self.embedder}{so_far}"]
        if self._refused:
            doubted = f", {self._doubted:,} of them for a warning" if self._doubted else ""
            parts.append(f"{quantity(self._refused, 'user')} could not be{doubted}")
        if self.passed_over:
            parts.append(f"{quantity(self.passed_over, 'user')} passed over, who had a template or are deleted")
        if self.not_compared:
            parts.append(f"{quantity(self.not_compared, 'user')} enrolled without a look for others who look alike")
        err.print(f"{'; '.join(parts)}.")
        if self.not_searched is not None:
            text = f"whether these have the same template as another user is not known: {self.not_searched}"
            err.print(f"Warning: {visible(text)}. `facematch doctor` counts such users.")

    def end(self) -> None:
        """End with exit code 1 where somebody could not be."""
        if self._refused:
            raise typer.Exit(ExitCode.FAILED)
