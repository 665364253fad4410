-- The log cut into ranges of rows, each with the objects that its rows are of: rows of one object stand together.
select rowid // {range_rows} as number, min(_obj), max(_obj)
from {changes} where _op <> 't' group by number order by number
