insert into {table} ({columns}, effective_from, effective_to, is_current, _version, _op, _end_op, _hi, _part, _lo, _incomplete)
with step as (
  select *, lead(_from) over w as _to, lead(_op) over w as _next_op,
         sum((not _del)::bigint) over (w rows between unbounded preceding and current row) as _version
  from _folded
  where _outcome in ('opened', 'closed')
  window w as (partition by {keys} order by {order})
)
select {columns}, _from, _to, _next_op is null, _version::bigint, _op,
       case when _next_op in ('d', 't') then _next_op when _next_op is not null then 'u' end,
       _hi, _part, _lo, _incomplete
from step
where not _del
order by {keys}, _version
