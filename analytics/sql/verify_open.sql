select 1 from {table}
where is_current is distinct from (effective_to is null or effective_to = timestamp {open_end})
