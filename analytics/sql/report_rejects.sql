select reason, count(*)::ubigint from cdc_rejects where tbl = {tbl} group by reason order by 2 desc, 1
