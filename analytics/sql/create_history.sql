create table {table} (
  {columns},
  effective_from timestamp not null,
  effective_to timestamp,
  is_current boolean not null,
  _version bigint not null,
  _op {operation} not null,
  _end_op {operation},
  _hi ubigint not null,
  _part integer not null,
  _lo ubigint not null,
  _obj bigint not null,
  _incomplete boolean not null{deleted}
)
