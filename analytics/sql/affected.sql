-- The keys whose versions must be made anew.
create or replace temp table _affected as
select {keys} from _replaced
union
select {keys} from {changes} where _op <> 't' and _obj >= {first_obj}
