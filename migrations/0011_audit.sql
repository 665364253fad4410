-- Who changed what: a row is written before each change and completed after it, so that a change
-- without a row cannot be. It outlives its connector, hence without foreign keys. Secrets are not in
-- here: see runtime::audit.

create table ferroconnect.audit (
    id             bigint generated always as identity primary key,
    at             timestamptz not null default now(),
    principal      text not null,
    -- Where the request came from; null for what the worker was told by its own files.
    address        text,
    action         text not null,
    -- Null: the worker itself, or all of them.
    connector      text,
    -- The version of the configuration that the change made.
    config_version bigint,
    -- What was changed: configurations, offsets, levels.
    detail         json,
    -- begun: the worker ended, or the client left, before it was known.
    outcome        text not null default 'begun'
        check (outcome in ('begun', 'done', 'refused', 'failed'))
);

create index audit_connector on ferroconnect.audit (connector, id);
create index audit_at on ferroconnect.audit (at);
