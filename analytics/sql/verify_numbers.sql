select 1 from (
  select _version, row_number() over (partition by {keys} order by _version) as n from {table}
) where n <> _version
