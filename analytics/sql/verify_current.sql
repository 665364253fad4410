select {keys} from {table} where is_current group by {keys} having count(*) > 1
