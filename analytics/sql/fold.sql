-- The query that defines the semantics: what became of each change of the keys in scope.
--
-- _outcome is
--   opened     a version begins
--   closed     a delete or truncate ends the live version
--   duplicate  the same change of the log, delivered again
--   unchanged  the image is that of the live version
--   absent     a delete of nothing
create or replace temp table _folded as
with change as (
  select {keys}, {payload}, _epoch, _op, _ts, _hi, _part, _lo, _row, _obj >= {first_obj} as _new
  from {changes} {scope}
  where _op <> 't'
  union all by name
  -- A truncate is a delete of every key seen before it.
  select {keys}, t._epoch, t._op, t._ts, t._hi, t._part, t._lo, t._row, false as _new
  from (select {keys}, min(row(_epoch, _hi)) as _first from {changes} {scope} where _op <> 't' group by {keys}) k
  join (select _epoch, _op, _ts, _hi, _part, _lo, _row from {changes} where _op = 't') t on row(t._epoch, t._hi) >= k._first
), carried as (
  select *, _op in ('d', 't') as _del,
         -- The source's clock may step back, intervals may not.
         max(_ts) over w as _from
         {carried}
  from change
  window w as (partition by {keys} order by {order} rows between unbounded preceding and current row)
), resolved as (
  select {keys}, {resolved}, _epoch, _op, _ts, _hi, _part, _lo, _row, _new, _del, _from,
         {incomplete} as _incomplete
  from carried
), image as (
  select *, {image} as _image from resolved
), neighbour as (
  select *, lag(_del) over w as _p_del, lag(_image) over w as _p_image, lag(_op) over w as _p_op,
         lag(_new) over w as _p_new,
         lag(row(_epoch, _hi)) over w as _p_lsn, lag(row(_part, _lo, _row)) over w as _p_offset
  from image
  window w as (partition by {keys} order by {order})
)
select {keys}, {payload}, _epoch, _op, _hi, _part, _lo, _row, _new, _del, _from, _incomplete,
       _from > _ts as _clamped,
       not _new and coalesce(_p_new, false) as _late,
       case
         when _op is not distinct from _p_op and _p_lsn is not distinct from row(_epoch, _hi)
              and (_hi > 0 or _p_offset is not distinct from row(_part, _lo, _row)) then 'duplicate'
         when _del then case when _p_del is false then 'closed' else 'absent' end
         when _p_del is false and _p_image is not distinct from _image then 'unchanged'
         else 'opened'
       end as _outcome
from neighbour
