delete from {table} h using _affected a where {same_key} and {not_frozen}
