-- One row per committed batch.
create table if not exists cdc_runs (
  run_id bigint not null,
  tbl varchar not null,
  mode varchar not null,
  started timestamp,
  objects ubigint,
  rows ubigint,
  opened ubigint,
  closed_by_delete ubigint,
  duplicates ubigint,
  unchanged ubigint,
  late_keys ubigint,
  clamped ubigint,
  rejects ubigint,
  ignored ubigint,
  truncates ubigint,
  deletes_without_row ubigint,
  unresolved_toast ubigint
)
