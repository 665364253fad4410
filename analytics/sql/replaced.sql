create or replace temp table _replaced as
select distinct {keys}, false as _truncate from {changes} where _op <> 't' and _obj in ({objects})
