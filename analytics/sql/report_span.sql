select date_diff('second', min(effective_from), greatest(max(effective_from), max(effective_to) filter (isfinite(effective_to))))
from {table} where isfinite(effective_from)
