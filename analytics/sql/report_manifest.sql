select (select count(*)::ubigint from cdc_objects where tbl = {tbl}),
       (select coalesce(sum(size), 0)::ubigint from cdc_objects where tbl = {tbl}),
       (select coalesce(sum(rows), 0)::ubigint from cdc_objects where tbl = {tbl}),
       coalesce(sum(duplicates), 0)::ubigint, coalesce(sum(unchanged), 0)::ubigint,
       coalesce(sum(clamped), 0)::ubigint, coalesce(sum(late_keys), 0)::ubigint,
       coalesce(sum(unresolved_toast), 0)::ubigint, coalesce(sum(deletes_without_row), 0)::ubigint,
       coalesce(sum(ignored), 0)::ubigint,
       (select order_source from cdc_tables where tbl = {tbl}),
       (select time_source from cdc_tables where tbl = {tbl})
from cdc_runs where tbl = {tbl}
