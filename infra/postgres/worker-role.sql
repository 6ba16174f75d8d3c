-- A role for facematch's worker that can do nothing by itself. By a superuser, in the application's database:
--
--     FACE_WORKER_PASSWORD=… psql postgresql://postgres@db/app -v worker=facematch_worker -f worker-role.sql
--
-- Then let the owner of the tables give it a worker's rights, column by column:
--
--     facematch migrate --grant-to facematch_worker
--
-- Safe to run again: it sets the password anew. The password comes from the environment, where no list of processes
-- shows it. Where role or password is missing nothing is changed, and psql ends with 3.

\set ON_ERROR_STOP on
\getenv password FACE_WORKER_PASSWORD

\if :{?worker}
\else
DO $$ BEGIN RAISE 'which role? Say -v worker=facematch_worker'; END $$;
\endif
\if :{?password}
\else
DO $$ BEGIN RAISE 'which password? Put it into FACE_WORKER_PASSWORD, and export that'; END $$;
\endif

SELECT format('CREATE ROLE %I', :'worker')
 WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = :'worker') \gexec

ALTER ROLE :"worker"
    LOGIN PASSWORD :'password'
    NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS NOINHERIT;

-- A server that logs statements would log what they are run with, too: embeddings. And of a row that a constraint
-- refuses it would log the beginning.
ALTER ROLE :"worker" SET log_parameter_max_length = 0;
ALTER ROLE :"worker" SET log_error_verbosity = terse;

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
