-- An operation that is none has its name in _snapshot.
insert into cdc_rejects (tbl, obj, part, lo, row, reason, run_id)
select {tbl}, _obj, _part, _lo, _row,
       case when {is_change} and not ({in_time}) then 'too late' when {is_change} then 'null key'
            else 'unknown operation ' || coalesce(_snapshot, 'null') end,
       {run_id}
from {changes}
where _obj >= {first_obj} and _op is distinct from 'm' and not ({is_usable})
