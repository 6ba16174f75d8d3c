-- A role for facematch's worker that can do nothing by itself. Run it in the application's database as a superuser, or as
-- a role with CREATEROLE, such as the administrator of a managed PostgreSQL:
--
--     psql postgresql://postgres@db/app -v worker=facematch_worker -f worker-role.sql
--
-- psql asks for the role's password twice; without a terminal, as in a pipeline, it reads two lines of standard input.
-- It sends only the hash, so that no log of the server shows the password. An empty one leaves the role without any.
-- Then let the owner of the tables give the role a worker's rights, column by column:
--
--     facematch migrate --grant-to facematch_worker
--
-- Safe to run again: it sets the password anew. If anything is refused, nothing is changed, and psql ends with 3.

\set ON_ERROR_STOP on

-- A function that somebody has made in another schema, such as public, is not run with your rights.
SELECT pg_catalog.set_config('search_path', 'pg_catalog', false) AS path \gset

\if :{?worker}
\else
DO $$ BEGIN RAISE 'which role? Say -v worker=facematch_worker'; END $$;
\endif
SELECT pg_catalog.set_config('facematch.worker', :'worker', false) AS worker \gset

BEGIN;

SELECT format('CREATE ROLE %I', :'worker')
 WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = :'worker') \gexec

ALTER ROLE :"worker" LOGIN NOINHERIT;

DO $$
DECLARE
    worker CONSTANT text := pg_catalog.current_setting('facematch.worker');
    attributes text;
    others text;
    setting text;
BEGIN
    -- What a role that was there before may have and a new one has not. To take an attribute away needs that same one,
    -- or a superuser; so only what is there is named.
    SELECT string_agg(attribute.taken_away, ' ') INTO attributes
      FROM pg_catalog.pg_roles, LATERAL (VALUES
           (rolsuper, 'NOSUPERUSER'), (rolcreatedb, 'NOCREATEDB'), (rolcreaterole, 'NOCREATEROLE'),
           (rolreplication, 'NOREPLICATION'), (rolbypassrls, 'NOBYPASSRLS')) AS attribute (is_there, taken_away)
     WHERE rolname = worker AND attribute.is_there;
    IF attributes IS NOT NULL THEN
        BEGIN
            EXECUTE format('ALTER ROLE %I %s', worker, attributes);
        EXCEPTION WHEN insufficient_privilege THEN
            RAISE insufficient_privilege USING MESSAGE = format('%s has rights that you may not take away', worker),
                HINT = format('Let a superuser run ALTER ROLE %I %s, or take another name.', worker, attributes);
        END;
    END IF;

    SELECT string_agg(format('%I', g.rolname), ', ') INTO others
      FROM pg_catalog.pg_auth_members m JOIN pg_catalog.pg_roles g ON g.oid = m.roleid
      JOIN pg_catalog.pg_roles w ON w.oid = m.member WHERE w.rolname = worker;
    IF others IS NOT NULL THEN
        RAISE WARNING '% is a member of % and can use their rights', worker, others
            USING HINT = format('Unless it needs them, run: REVOKE %s FROM %I', others, worker);
    END IF;

    -- A server that logs statements also logs their parameters: embeddings. When a constraint refuses a row, it logs the
    -- beginning of the row.
    FOREACH setting IN ARRAY ARRAY['log_parameter_max_length = 0', 'log_error_verbosity = terse'] LOOP
        BEGIN
            EXECUTE format('ALTER ROLE %I SET %s', worker, setting);
        EXCEPTION WHEN insufficient_privilege THEN
            RAISE WARNING '% may not be set for %: where this server logs statements or errors, it may log embeddings',
                split_part(setting, ' ', 1), worker
                USING HINT = format('Set %s for the whole server, in the parameter group or flags of a managed one. Or '
                    'let a superuser run GRANT SET ON PARAMETER %s TO %I, and run this again.',
                    setting, split_part(setting, ' ', 1), current_user);
        END;
    END LOOP;
END
$$;

-- What PostgreSQL lets everybody do who may connect: make temporary tables and, in a database that comes from a version
-- before 15, tables in the schema public. With -v close=yes this is taken from every role that has it for no other
-- reason; who needs it, such as the application, gets it back by name.
\if :{?close}
\else
\set close no
\endif
\if :close
SELECT format('REVOKE TEMPORARY ON DATABASE %I FROM PUBLIC', pg_catalog.current_database()) \gexec
REVOKE CREATE ON SCHEMA public FROM PUBLIC;
\endif

\password :"worker"

COMMIT;
