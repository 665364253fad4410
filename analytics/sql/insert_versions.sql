-- The columns of the versions that the fold has made; toasted ones may come from an earlier row (s0, s1, …).
insert into {table} ({columns}, effective_from, effective_to, is_current, _version, _op, _end_op, _hi, _part, _lo, _obj, _incomplete{deleted_column})
select {values}, v.since, coalesce(v.until, {open_end}), v.until is null, v.number{frozen}, {event}._op,
       cast(case when v.ending > 0 then chr(v.ending::integer) end as {operation}),
       {event}._hi, {event}._part, {event}._lo, {event}._obj, {incomplete}{deleted_value}
from _versions v
join {changes} c on c.rowid = v.row_id{among}
{joins}where {range}
{order}
