-- Of each file: rows, schema and the footer entries that are read, as one JSON object.
with kept as (
  select file_name, decode(key) as key, decode(value) as value
  from parquet_kv_metadata([{files}])
  where key = encode('parquet.avro.schema') or starts_with(decode(key), 'cdc.')
), entry as (
  select file_name, cast(json_group_object(key, value) as varchar) as entries from kept group by file_name
), described as (
  select file_name,
         string_agg(concat_ws('|', name, type, type_length, num_children, converted_type, scale, precision, logical_type), chr(10) order by column_id, name) as description
  from parquet_schema([{files}]) group by file_name
)
select m.file_name, cast(m.num_rows as ubigint), d.description, e.entries
from parquet_file_metadata([{files}]) m
join described d using (file_name)
left join entry e using (file_name)
