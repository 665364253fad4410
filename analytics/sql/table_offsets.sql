select _part, max(_lo)::ubigint from {changes} group by _part
