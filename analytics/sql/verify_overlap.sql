select 1 from (
  select effective_to, lead(effective_from) over (partition by {keys} order by _version) as next from {table}
) where next is not null and (effective_to is null or next < effective_to)
