-- Levels of loggers that were set for the whole cluster (PUT /admin/loggers/{logger}?scope=cluster).
-- Every worker that runs applies them; one that starts later has its own settings, as in the
-- original. Rows are dropped once every worker has had the time to read them.

create table ferroconnect.logger_change (
    number     bigint generated always as identity primary key,
    logger     text not null,
    level      text not null,
    -- The worker that was asked, which has applied the change itself.
    worker     text not null,
    changed_at timestamptz not null default now()
);
