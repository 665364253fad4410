-- Columns that the newest objects of a partition have no more, each with the first object that lacks it.
with object as (
  select part, first_offset, uri, processed_at, from_json(columns, '["VARCHAR"]') as names
  from cdc_objects where tbl = {tbl} and rows > 0 and columns is not null
), seen as (
  select part, unnest(names) as name, first_offset from object
), last_seen as (
  select part, name, max(first_offset) as last_offset from seen group by part, name
)
select name, arg_min(uri, first_offset), cast(arg_min(processed_at, first_offset) as varchar)
from last_seen join object using (part) where first_offset > last_offset
group by name order by name
