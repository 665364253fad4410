-- Versions that were true at some moment of [a, b).
create or replace macro {name}(a, b) as table
select * from {table}
where effective_from < b::timestamp and (effective_to > a::timestamp or effective_to is null)
