select {keys} from (select distinct {keys} from {changes} where _op in ('c', 'r', 'u')) seen
anti join {table} using ({keys})
