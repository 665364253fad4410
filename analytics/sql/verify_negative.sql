select 1 from {table} where effective_to < effective_from
