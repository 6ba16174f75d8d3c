"""``migrate``: bring the database up to date, before a worker starts."""

import asyncio
from typing import Annotated

import typer

from adapters.postgres.migrate import MigrationRefusedError
from adapters.postgres.migrate import migrate as bring_up_to_date
from entrypoints.console import explained, fail, load_settings, out


def migrate(
    grant_to: Annotated[
        str | None, typer.Option(help="Another role that is to be worker, with these rights only.", metavar="ROLE")
    ] = None,
    grant_enrolment_to: Annotated[
        str | None, typer.Option(help="Another role that is to enrol users, with these rights only.", metavar="ROLE")
    ] = None,
) -> None:
    """Bring the database up to date.

    Creates what is missing and alters nothing that exists. Safe to run again. Run it as the owner of the tables; where
    the database refuses, the SQL to run is printed.
    """
    settings = load_settings()
    with explained():
        try:
            statements = asyncio.run(
                bring_up_to_date(settings.database_url, grant_to=grant_to, grant_enrolment_to=grant_enrolment_to)
            )
        except MigrationRefusedError as refused:
            if not refused.statements:
                fail(str(refused))
            out.print(";\n\n".join(s.strip().removesuffix(";") for s in refused.statements) + ";")
            fail(f"{refused}; a role that has the rights can run the SQL above")
    out.print(f"The database is up to date ({len(statements)} statements were needed).")
