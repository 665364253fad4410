delete from {changes} c using _seeds s
where {same_key} and c._op <> 't'
  and (s.kept is null
       or (c._epoch, c._hi, c._part, c._lo, c._row) < (s._epoch, s._hi, s._part, s._lo, s._row))
