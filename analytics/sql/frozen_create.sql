create table if not exists {frozen} as select {keys}, 0::bigint as versions from {changes} limit 0
