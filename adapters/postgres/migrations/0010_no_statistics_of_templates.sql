-- ANALYZE keeps whole values of a column beside the table, where they outlive their rows: of templates it is to keep none.
-- To name a column's type anew throws away what it has kept; no row is written for it.
DO $$
DECLARE
    kept record;
BEGIN
    FOR kept IN SELECT c.oid::regclass AS tab, pg_catalog.format_type(a.atttypid, a.atttypmod) AS typ,
                       CASE a.attstorage WHEN 'p' THEN 'PLAIN' WHEN 'm' THEN 'MAIN' ELSE 'EXTERNAL' END AS storage
                  FROM pg_catalog.pg_class c JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid
                 WHERE c.relnamespace = 'facematch'::regnamespace AND a.attname = 'embedding'
                   AND c.relname IN ('gallery', 'prepared_templates') LOOP
        EXECUTE pg_catalog.format('ALTER TABLE %s ALTER COLUMN embedding TYPE %s, '
            'ALTER COLUMN embedding SET STORAGE %s, ALTER COLUMN embedding SET STATISTICS 0',
            kept.tab, kept.typ, kept.storage);
    END LOOP;
END
$$;
