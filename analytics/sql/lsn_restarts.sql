-- Where the offset rises and the log position falls far, to the read of a snapshot.
with ordered as (
  select _part, _lo, _op, _hi, lag(_hi) over (partition by _part order by _lo, _row, _hi) as _before
  from {changes} where _hi > 0
)
select _part, _lo from ordered where _op = 'r' and _before > _hi + {step} order by _part, _lo
