-- Roles and databases. Run by psql as a superuser: by the postgres image at its first start (docker-compose.yml), and by
-- `make demo`. Can be run again. "create database" knows no "if not exists" and no transaction, hence \gexec.

-- Capture reads with this role. Logical replication needs the attribute REPLICATION, not a superuser.
select $$create role cdc_user login replication password 'cdc_password'$$
where not exists (select from pg_roles where rolname = 'cdc_user')
\gexec

-- The worker keeps its state (connectors, offsets, status) with this one, in a database of its own.
select $$create role ferroconnect login password 'ferroconnect'$$
where not exists (select from pg_roles where rolname = 'ferroconnect')
\gexec

select 'create database commerce_db'
where not exists (select from pg_database where datname = 'commerce_db')
\gexec

select 'create database ferroconnect owner ferroconnect'
where not exists (select from pg_database where datname = 'ferroconnect')
\gexec
