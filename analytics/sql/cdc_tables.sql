create table if not exists cdc_tables (
  tbl varchar primary key,
  topic varchar not null,
  keys varchar not null,
  columns_json varchar not null,
  order_source varchar,
  time_source varchar,
  last_run timestamp,
  options_json varchar not null,
  epochs_json varchar not null,
  horizon timestamp
)
