(select json, file_row_number, {file} as _file
 from (select json, row_number() over () - 1 as file_row_number from read_ndjson_objects([{file}])) line
 where json_type(json) = 'OBJECT')
