-- How many changes the log has, and which of their columns are the same in all: those need no sorting.
select count(*)::ubigint, min(_epoch), max(_epoch), min(_part), max(_part), min(_row), max(_row),
       coalesce(bool_and(_obj >= {first_obj}), false), coalesce(bool_or(_obj >= {first_obj}), false)
from {changes} where _op <> 't'
