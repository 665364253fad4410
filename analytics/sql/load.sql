-- An operation that is none becomes NULL, and its name takes the place of the snapshot mark until the row is set aside.
insert into {changes} ({columns}_epoch, _op, _ts, _hi, _part, _lo, _row, _obj, _snapshot, _before)
select {payload}0, try_cast({op} as {operation}), coalesce({time}), coalesce({lsn}, 0), o.part,
       coalesce({offset}, case when o.exact then o.first_offset + f.file_row_number else o.first_offset end),
       case when o.exact or {offset} is not null then 0 else f.file_row_number end,
       o.obj, case when try_cast({op} as {operation}) is null then cast({op} as varchar) else {snapshot} end,
       {before}
from {relation} f
join _objects o on o.path = f._file
left join _times t on t.obj = o.obj and t.row = f.file_row_number
