select rowid, _ts, _epoch, _hi, _part, _lo, _row from {changes}
where _op = 't'
order by _epoch, _hi, _part, _lo, _row, _ts
