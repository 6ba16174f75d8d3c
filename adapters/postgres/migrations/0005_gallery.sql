-- The templates of `users` once more, for workers to keep in memory: as unit vectors of half precision, one partition
-- for each model that `facematch index` has been asked for, with the transaction that wrote each.
DO $$
DECLARE
    half_precision regtype := (
        SELECT t.oid FROM pg_catalog.pg_type t JOIN pg_catalog.pg_extension e ON e.extnamespace = t.typnamespace
         WHERE e.extname = 'vector' AND t.typname = 'halfvec');
BEGIN
    IF half_precision IS NULL THEN
        RAISE undefined_object USING MESSAGE = 'facematch needs pgvector 0.7 or newer: ALTER EXTENSION vector UPDATE';
    END IF;
    EXECUTE pg_catalog.format(
        'CREATE TABLE facematch.gallery (model text NOT NULL, user_id uuid NOT NULL, embedding %s NOT NULL, '
        'changed xid8 NOT NULL DEFAULT pg_catalog.pg_current_xact_id()) '
        'PARTITION BY LIST (model)', half_precision);
    ALTER TABLE facematch.gallery ALTER COLUMN embedding SET STORAGE PLAIN;
    CREATE INDEX gallery_changed ON facematch.gallery (changed);
END
$$;

-- What the short codes of a model's vectors are made by in every worker alike: it tells of no single user.
CREATE TABLE facematch.codebooks (
    model text PRIMARY KEY,
    dimension integer NOT NULL,
    users bigint NOT NULL,
    content bytea NOT NULL,
    learnt_at timestamptz NOT NULL DEFAULT now()
);
