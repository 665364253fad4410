select count(*)::ubigint, {columns} from {relation} f where {op} = 'd'
