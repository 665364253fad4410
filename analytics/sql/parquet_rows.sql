read_parquet([{files}], hive_partitioning = false, filename = '_file', file_row_number = true)
