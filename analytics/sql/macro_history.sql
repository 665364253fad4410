create or replace macro {name}({arguments}) as table
select * from {table} where {condition} order by _version
