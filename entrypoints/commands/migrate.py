"""``migrate``: bring the database up to date, before a worker starts."""

import asyncio
from collections.abc import Sequence
from typing import Annotated

import typer

from adapters.postgres.migrate import MigrationRefusedError, UnknownRoleError
from adapters.postgres.migrate import migrate as bring_up_to_date
from entrypoints.terminal.console import ExitCode, err, explained, fail, load_settings, out, print_document, visible


def migrate(
    grant_to: Annotated[
        str | None, typer.Option(help="Another role that is to be worker, with these rights only.", metavar="ROLE")
    ] = None,
    grant_enrolment_to: Annotated[
        str | None, typer.Option(help="Another role that is to enrol users, with these rights only.", metavar="ROLE")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Bring the database up to date.

    Creates what is missing and alters nothing that exists. Safe to run again. Run it as the owner of the tables; where
    the database refuses, the SQL to run is printed.
    """
    settings = load_settings()
    with explained():
        try:
            done = asyncio.run(
                bring_up_to_date(settings.database_url, grant_to=grant_to, grant_enrolment_to=grant_enrolment_to)
            )
        except UnknownRoleError as error:
            fail(str(error), ExitCode.USAGE)
        except MigrationRefusedError as refused:
            if as_json:
                print_document(_document(refused.statements, [str(refused)]))
            if as_json or not refused.statements:
                fail(str(refused))
            statements = ["BEGIN", *refused.statements, "COMMIT"]
            out.print(";\n\n".join(s.strip().removesuffix(";") for s in statements) + ";")
            fail(f"{refused}; a role that has the rights can run the SQL above")
    used = [str(table) for table in done.tables.values() if str(table) not in done.made]
    if as_json:
        print_document(_document(done.statements, done.problems, used, done.made))
    else:
        out.print(f"The database is up to date ({len(done.statements)} statements were needed).")
        if used:
            out.print(f"Your tables: {', '.join(used)}.")
        if done.made:
            out.print(f"Made, because there were none: {', '.join(done.made)}.")
    if done.problems:
        err.print(visible(f"No worker can start yet: {'; '.join(done.problems)}"))


def _document(
    statements: Sequence[str], problems: Sequence[str], tables: Sequence[str] | None = None, made: Sequence[str] = ()
) -> dict[str, object]:
    """Return for machines what came of it: no tables where nothing was done."""
    return {
        "migrated": tables is not None,
        "statements": statements,
        "tables": tables or (),
        "made": made,
        "problems": problems,
    }
