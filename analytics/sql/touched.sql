-- How many changes these keys have.
select count(*)::ubigint from {changes} c semi join _affected using ({keys}) where c._op <> 't'
