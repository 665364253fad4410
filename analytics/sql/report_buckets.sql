-- A version that is no key's first and follows no end is an update.
with event as (
  select effective_from as moment, case when _op in ('c', 'r') or _version = 1 then 'i' else 'u' end as kind from {table}
  union all
  select effective_to, 'd' from {table} where _end_op in ('d', 't', 's')
)
select cast(make_timestamp((epoch_us(moment) // ({width} * 1000000)) * {width} * 1000000) as varchar) as since,
       count(*) filter (kind = 'i')::ubigint, count(*) filter (kind = 'u')::ubigint,
       count(*) filter (kind = 'd')::ubigint
from event where isfinite(moment)
group by since order by since
