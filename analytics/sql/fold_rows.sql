-- The changes of the keys in scope, key after key and each key's in order, as the fold takes them.
select {fresh} as fresh, row_id, op, time, {epoch} as epoch, hi, {part} as part, lo, {ordinal} as ordinal, {new} as new, image{toast_names}
from (
  select {key_values},
         c.rowid as row_id, ascii(c._op)::utinyint as op, {time} as time, c._hi as hi, c._lo as lo{varying}, {image} as image{toast}
  from {changes} c{among}
  where c._op <> 't' and {part_of_keys}
  order by {order}
)
