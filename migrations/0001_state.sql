-- Everything that a worker must find again after every worker was killed.
-- The schema itself is made by the migrator, before its own table.

-- Connectors ---------------------------------------------------------------------------------

-- Configuration versions are numbers of one sequence for all connectors, so that a connector that
-- was deleted and made again never repeats one: a worker sees a change by comparing numbers.
create sequence ferroconnect.config_version;

create table ferroconnect.connector (
    name           text primary key,
    target_state   text not null check (target_state in ('STARTED', 'PAUSED', 'STOPPED')),
    config_version bigint not null,
    -- Counts requests to restart the connector instance.
    restarts       bigint not null default 0,
    created_at     timestamptz not null default now()
);

-- json and not jsonb: kept as submitted, and jsonb cannot hold U+0000.
create table ferroconnect.connector_config (
    connector  text not null references ferroconnect.connector (name) on delete cascade,
    version    bigint not null,
    config     json not null,
    created_at timestamptz not null default now(),
    primary key (connector, version)
);

create table ferroconnect.task_config (
    connector      text not null references ferroconnect.connector (name) on delete cascade,
    task           integer not null check (task >= 0),
    config         json not null,
    -- The version of the connector's configuration that the task was planned from.
    config_version bigint not null,
    -- Counts requests to restart the task.
    restarts       bigint not null default 0,
    primary key (connector, task)
);

-- Status -------------------------------------------------------------------------------------

-- A status of a lower epoch never replaces one of a higher: a fenced worker cannot speak for its
-- successor.
create table ferroconnect.connector_status (
    connector  text primary key references ferroconnect.connector (name) on delete cascade,
    state      text not null
        check (state in ('RUNNING', 'PAUSED', 'STOPPED', 'FAILED', 'UNASSIGNED', 'RESTARTING')),
    worker_id  text not null,
    trace      text,
    version    text,
    epoch      bigint not null,
    updated_at timestamptz not null default now()
);

create table ferroconnect.task_status (
    connector  text not null references ferroconnect.connector (name) on delete cascade,
    task       integer not null,
    state      text not null
        check (state in ('RUNNING', 'PAUSED', 'FAILED', 'UNASSIGNED', 'RESTARTING')),
    worker_id  text not null,
    trace      text,
    version    text,
    epoch      bigint not null,
    updated_at timestamptz not null default now(),
    primary key (connector, task)
);

create table ferroconnect.connector_topic (
    connector text not null references ferroconnect.connector (name) on delete cascade,
    topic     text not null,
    primary key (connector, topic)
);

-- Workers and leases -------------------------------------------------------------------------

create table ferroconnect.worker (
    -- One process; a restarted worker is a new row.
    id         text primary key,
    -- host:port, the worker_id of the REST API.
    address    text not null,
    version    text not null,
    started_at timestamptz not null default now(),
    -- Moved on by the heartbeat. All leases of a worker end with it: one row is written per beat,
    -- however many tasks the worker runs.
    expires_at timestamptz not null,
    beat_at    timestamptz not null
);

-- Epochs are numbers of one sequence: they grow with every acquisition and never repeat, even after
-- a lease's row is gone.
create sequence ferroconnect.lease_epoch;

create table ferroconnect.lease (
    connector text not null,
    -- -1 is the connector itself.
    task      integer not null check (task >= -1),
    epoch     bigint not null,
    worker    text not null,
    primary key (connector, task)
);

create index lease_worker on ferroconnect.lease (worker);

-- Progress: survives the deletion of its connector, hence without foreign keys ----------------

create table ferroconnect.source_offset (
    connector        text not null,
    -- Both are the JSON text of Kafka Connect's offsets topic.
    source_partition text not null,
    source_offset    text not null,
    updated_at       timestamptz not null default now(),
    primary key (connector, source_partition)
);

create table ferroconnect.sink_offset (
    connector        text not null,
    topic            text not null,
    partition        integer not null,
    -- What the consumer group was told.
    committed_offset bigint,
    -- Where the file ledger says to go on.
    written_offset   bigint,
    -- The lease epoch of the task that opened the partition last: only it may complete files.
    owner_epoch      bigint,
    updated_at       timestamptz not null default now(),
    primary key (connector, topic, partition)
);

-- A row is a file whose object is complete or about to be: its boundaries are fixed.
create table ferroconnect.sink_file (
    connector    text not null,
    topic        text not null,
    partition    integer not null,
    first_offset bigint not null,
    last_offset  bigint not null check (last_offset >= first_offset),
    key          text not null,
    upload_id    text,
    etags        text[] not null,
    epoch        bigint not null,
    state        text not null check (state in ('completing', 'done')),
    updated_at   timestamptz not null default now(),
    primary key (connector, topic, partition, key)
);

-- Multipart uploads that were started, for stores that cannot list them.
create table ferroconnect.sink_upload (
    connector  text not null,
    topic      text not null,
    partition  integer not null,
    key        text not null,
    upload_id  text not null,
    epoch      bigint not null,
    started_at timestamptz not null default now(),
    primary key (connector, key, upload_id)
);

create index sink_upload_partition on ferroconnect.sink_upload (connector, topic, partition);
