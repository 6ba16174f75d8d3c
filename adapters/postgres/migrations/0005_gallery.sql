-- The templates of `users` once more, for an approximate search: as unit vectors of half precision, one partition for
-- each model that `facematch index` has been asked for. PLAIN, because what is compared lies in the row.
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
        'CREATE TABLE facematch.gallery (model text NOT NULL, user_id uuid NOT NULL, embedding %s NOT NULL) '
        'PARTITION BY LIST (model)', half_precision);
    ALTER TABLE facematch.gallery ALTER COLUMN embedding SET STORAGE PLAIN;
END
$$;
