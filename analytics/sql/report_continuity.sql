-- Updates that say what the row was before them, and those of them that do not follow from the change before.
with ordered as (
  select _before, _op, _hi, lag({image}) over place as image_before, lag(_op) over place as op_before, lag(_hi) over place as hi_before
  from {changes} where _op in ('c', 'r', 'u', 'd')
  window place as (partition by {keys} order by _epoch, _hi, (_hi > 0 and _op <> 'd'), _part, _lo, _row, _ts)
)
select count(*)::ubigint, count(*) filter (op_before = 'd' or image_before <> _before)::ubigint
from ordered
where _before is not null and op_before is not null and not (_hi > 0 and _hi = hi_before and _op = op_before)
