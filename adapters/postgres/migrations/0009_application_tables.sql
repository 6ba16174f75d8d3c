-- In which schema `migrate` has found each of the application's tables, or made it: one of the same name that appears
-- elsewhere, be it earlier on the search path, is nobody's. Whoever may look into the schema may read it.
CREATE TABLE facematch.application_tables (
    name text PRIMARY KEY,
    schema_name text NOT NULL
);
GRANT SELECT ON facematch.application_tables TO PUBLIC;
