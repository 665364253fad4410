create or replace macro {name}(t) as table
select * from {table}
where effective_from <= t::timestamp and (effective_to > t::timestamp or effective_to is null){alive}
