create or replace view {name} as
select * exclude (effective_to, is_current, _end_op{deleted}) from {table} where is_current{alive}
