"""``migrate``: bring the database up to date, before a worker starts."""

import asyncio
from collections.abc import Sequence
from typing import Annotated, NoReturn

import typer

from adapters.postgres.migrate import LOCK_TIMEOUT_SECONDS, Migrated, MigrationRefusedError, UnknownRoleError
from adapters.postgres.migrate import migrate as bring_up_to_date
from entrypoints.commands.common.missing_index import advice_on_missing_index
from entrypoints.terminal.console import ExitCode, err, explained, fail, load_settings, out, print_document, visible


def migrate(
    grant_to: Annotated[
        str | None, typer.Option(help="Give this role the rights of a worker, and no others.", metavar="ROLE")
    ] = None,
    grant_enrolment_to: Annotated[
        str | None, typer.Option(help="Give this role the rights to enrol users, and no others.", metavar="ROLE")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Change nothing; print the SQL.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Bring the database up to date.

    Run it as the owner of the tables. It creates what is missing, alters nothing that exists, and is safe to run again.
    If the database refuses, it prints the SQL for the owner to run. With --dry-run it only prints the SQL, for review
    or for your own migration tool.
    """
    settings = load_settings()
    with explained():
        try:
            done = asyncio.run(
                bring_up_to_date(
                    settings.database_url, grant_to=grant_to, grant_enrolment_to=grant_enrolment_to, dry_run=dry_run
                )
            )
        except UnknownRoleError as error:
            fail(str(error), ExitCode.USAGE)
        except MigrationRefusedError as refused:
            _tell_refusal(refused, as_json=as_json)
    if as_json:
        print_document(
            _document(done.statements, done.problems, _used(done), done.made, done.advice, migrated=not dry_run)
        )
    elif dry_run:
        _print_transaction(done.statements)
        err.print(f"Nothing was changed: {len(done.statements)} statements are needed.")
    else:
        out.print(f"The database is up to date ({len(done.statements)} statements were needed).")
        if used := _used(done):
            out.print(f"Your tables: {', '.join(used)}.")
        if done.made:
            out.print(f"Made, because there were none: {', '.join(done.made)}.")
    if done.problems:
        err.print(visible(f"No worker can start yet: {'; '.join(done.problems)}"))
    for statement in done.advice:
        err.print(visible(f"Database speed: {advice_on_missing_index(statement)}"))


def _used(done: Migrated) -> list[str]:
    return [str(table) for table in done.tables.values() if str(table) not in done.made]


def _tell_refusal(refused: MigrationRefusedError, *, as_json: bool) -> NoReturn:
    if as_json:
        print_document(_document(refused.statements, [str(refused)]))
    if as_json or not refused.statements:
        fail(str(refused))
    _print_transaction(refused.statements)
    fail(f"{refused}; a role that has the rights can run the SQL above")


def _print_transaction(statements: Sequence[str]) -> None:
    """Print SQL that gives up on a lock as the command itself does; nothing where there is nothing to run."""
    if statements:
        transaction = ["BEGIN", f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT_SECONDS:g}s'", *statements, "COMMIT"]
        out.print(";\n\n".join(statement.strip().removesuffix(";") for statement in transaction) + ";")


def _document(
    statements: Sequence[str],
    problems: Sequence[str],
    tables: Sequence[str] = (),
    made: Sequence[str] = (),
    advice: Sequence[str] = (),
    *,
    migrated: bool = False,
) -> dict[str, object]:
    """Return for machines what came of it: no tables where the database refused."""
    return {
        "migrated": migrated,
        "statements": statements,
        "tables": tables,
        "made": made,
        "problems": problems,
        "advice": advice,
    }
