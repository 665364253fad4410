-- A seed stands for everything before it: it has the version's time and all its values.
update {changes} c set _ts = h.effective_from{resolved}
from _seeds s, {table} h
where c.rowid = s.seed and {same_key_h} and h._version = s.frozen + s.kept
