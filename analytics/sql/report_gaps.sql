with object as (
  select part, first_offset, coalesce(last_offset, first_offset + rows - 1) as last_offset, uri
  from cdc_objects where tbl = {tbl} and rows > 0
), next as (
  select *, lead(first_offset) over (partition by part order by first_offset, last_offset) as next_offset from object
)
select part, last_offset + 1, next_offset, uri from next
where next_offset > last_offset + 1 order by part, first_offset limit 100
