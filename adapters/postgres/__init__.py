"""PostgreSQL with pgvector: gallery, ledger and migrations, by psycopg."""
