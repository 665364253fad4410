select column_name, change, uri, cast(seen_at as varchar) from cdc_schema where tbl = {tbl} order by run_id, rowid
