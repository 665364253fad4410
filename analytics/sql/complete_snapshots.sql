-- Snapshots that reached their end: all their reads have one log position.
select _epoch, _hi, min(_ts) from {changes}
where _op = 'r' and _hi > 0
group by _epoch, _hi
having bool_or(_snapshot in ('last', 'last_in_data_collection'))
order by _epoch, _hi
