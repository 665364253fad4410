-- The manifest: an object is done if it is here with the same etag.
create table if not exists cdc_objects (
  tbl varchar not null,
  uri varchar not null,
  etag varchar not null,
  size ubigint,
  last_modified timestamp,
  topic varchar,
  part integer,
  first_offset ubigint,
  last_offset ubigint,
  rows ubigint,
  shape varchar,
  obj bigint not null,
  run_id bigint,
  processed_at timestamp,
  -- As JSON; NULL where the file does not tell.
  columns varchar,
  primary key (tbl, uri)
)
