-- Of each key with something to forget: how many of its versions ended before the horizon, and the
-- change that opened the first of the others; none if the key was gone by then.
create or replace temp table _seeds as
with made as (
  select {keys_c}, v.row_id, v.number, coalesce(v.until < make_timestamp({horizon}), false) as is_over
  from _versions v join {changes} c on c.rowid = v.row_id
), of_key as (
  select {keys}, count(*) filter (is_over) as over, min(number) filter (not is_over) as kept,
         arg_min(row_id, number) filter (not is_over) as seed
  from made group by {keys}
)
select k.*, coalesce(z.versions, 0) as frozen, e._epoch, e._hi, e._part, e._lo, e._row
from of_key k
left join {frozen} z using ({keys})
left join {changes} e on e.rowid = k.seed
where k.over > 0
