-- The changes of the keys in scope, key after key and each key's in order, as the fold takes them.
select {fresh} as fresh, * exclude ({keys})
from (
  select {key_values},
         c.rowid as row_id, ascii(c._op)::utinyint as op, {time} as time, c._epoch as epoch, c._hi as hi,
         c._part as part, c._lo as lo, c._row as row, c._obj >= {first_obj} as new, {image} as image
         {toast}
  from {changes} c
  where c._op <> 't' and {scope}
  order by {order}
)
