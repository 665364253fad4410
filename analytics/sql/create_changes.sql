-- The change log: everything that was ever read, so that a late change can be put in its place.
-- _hi is the log position or 0, _lo the Kafka offset (of the row, or of the file's first row, then
-- _row is the ordinal in the file). _before is the md5 of the row before an update, if the file has it.
create table {changes} (
  {columns},
  _epoch smallint not null,
  _op {operation},
  _ts timestamp,
  _hi ubigint not null,
  _part integer not null,
  _lo ubigint not null,
  _row ubigint not null,
  _obj bigint not null,
  _snapshot varchar,
  _before uhugeint
)
