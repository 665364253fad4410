-- Where the changes of these keys are in the log.
create or replace temp table _touched as
select c.rowid as row_id from {changes} c semi join _affected using ({keys}) where c._op <> 't'
