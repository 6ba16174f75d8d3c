-- Where the photographs lie that a template was made of, so that another embedder can make one of them, too: references
-- to the object store, in the order in which they were given; null where one was a file of somebody's machine.
ALTER TABLE facematch.templates ADD COLUMN image_refs text[];

-- Templates by another embedder than the users' own, until they take those' place. `replaces` is the fingerprint of the
-- template in `users` that a row was made for: it counts only while that is there. No foreign key, as everywhere.
DO $$
DECLARE
    vector regtype := (
        SELECT t.oid FROM pg_catalog.pg_type t JOIN pg_catalog.pg_extension e ON e.extnamespace = t.typnamespace
         WHERE e.extname = 'vector' AND t.typname = 'vector');
BEGIN
    EXECUTE pg_catalog.format(
        'CREATE TABLE facematch.prepared_templates (model text NOT NULL, user_id uuid NOT NULL, embedding %s NOT NULL, '
        'photographs integer NOT NULL CHECK (photographs >= 1), image_refs text[], replaces bytea NOT NULL, '
        'prepared_at timestamptz NOT NULL DEFAULT now(), PRIMARY KEY (model, user_id))', vector);
END
$$;
