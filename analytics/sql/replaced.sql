create temp table if not exists _replaced as select {keys} from {changes} limit 0
