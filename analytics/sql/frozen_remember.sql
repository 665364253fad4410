create or replace table {frozen} as
select {keys}, sum(versions)::bigint as versions
from (select {keys}, versions from {frozen} union all select {keys}, over from _seeds)
group by {keys}
