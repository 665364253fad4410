select array_to_string([{key_texts}], ', '), count(*)::ubigint as versions
from {table} group by {keys} order by versions desc, 1 limit 10
