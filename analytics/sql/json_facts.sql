-- Lines, lines without a row in them, and the structure that fits all others.
with line as (select json, json_type(json) = 'OBJECT' as is_row from read_ndjson_objects([{file}]))
select (select count(*)::ubigint from line),
       (select count(*)::ubigint from line where not coalesce(is_row, false)),
       (select cast(json_group_structure(json) as varchar) from line where is_row)
