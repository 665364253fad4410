-- Keys that were added, removed or changed between two instants.
create or replace macro {name}(a, b) as table
select {keys},
       case when x._version is null then 'added' when y._version is null then 'removed' else 'changed' end as change
from {as_of}(a) x full join {as_of}(b) y on {same_key}
where x._version is distinct from y._version
