-- Whether new reads of a snapshot lie far below what their partition has seen: rarely, and then it is
-- worth a look at the whole log.
select coalesce(bool_or(seen._hi > read._hi + {step}), false)
from (select _part, min(_hi) as _hi from {changes} where _obj >= {first_obj} and _op = 'r' and _hi > 0 group by _part) read
join (select _part, max(_hi) as _hi from {changes} where _hi > 0 group by _part) seen using (_part)
