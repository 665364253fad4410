-- Rows that were read but could not be used; obj leads to the object.
create table if not exists cdc_rejects (
  tbl varchar not null,
  obj bigint not null,
  part integer,
  lo ubigint,
  row ubigint,
  reason varchar not null,
  run_id bigint
)
