with of_key as (
  select count(*) as versions, bool_or({live}) as live,
         bool_or(_end_op in ('d', 't', 's')) and count(*) filter (_end_op in ('d', 't', 's')) >= case when bool_or({live}) then 1 else 2 end as back
  from {table} group by {keys}
)
select count(*)::ubigint, count(*) filter (live)::ubigint, count(*) filter (back)::ubigint,
       coalesce(sum(versions), 0)::ubigint, coalesce(avg(versions), 0)::double,
       coalesce(max(versions), 0)::ubigint,
       (select count(*)::ubigint from {table} where effective_from = effective_to)
from of_key
