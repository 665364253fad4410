select (select count(*)::ubigint from cdc_objects where tbl = {tbl}),
       (select count(*)::ubigint from {changes}),
       (select count(*)::ubigint from {table}),
       (select count(*)::ubigint from {table} where is_current),
       (select count(*)::ubigint from cdc_rejects where tbl = {tbl}),
       (select cast(max(_ts) as varchar) from {changes})
