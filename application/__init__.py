"""Use cases: they orchestrate the domain through ports, and know no technology."""
