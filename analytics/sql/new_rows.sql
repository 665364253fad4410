-- Rows that cannot be folded, truncates, the end of a snapshot, reads, and where placeholders are: in one pass.
select count(*) filter (not ({is_usable}))::ubigint, count(*) filter (_op = 't')::ubigint,
       coalesce(bool_or(_snapshot in ('last', 'last_in_data_collection')), false),
       coalesce(bool_or(_op = 'r' and _hi > 0), false){placeholders}
from {changes} where _obj >= {first_obj}
