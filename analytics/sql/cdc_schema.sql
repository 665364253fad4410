-- When columns came and changed their types, and by which object.
create table if not exists cdc_schema (
  tbl varchar not null,
  column_name varchar not null,
  change varchar not null,
  uri varchar,
  run_id bigint,
  seen_at timestamp
)
