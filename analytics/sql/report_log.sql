select count(*) filter (_op = 'c')::ubigint, count(*) filter (_op = 'u')::ubigint,
       count(*) filter (_op = 'r')::ubigint, count(*) filter (_op = 'd')::ubigint,
       count(*) filter (_op = 't')::ubigint,
       cast(min(_ts) as varchar), cast(max(_ts) as varchar),
       ({now_us} - epoch_us(max(_ts))) / 1e6,
       nullif(max(_hi), 0)
from {changes}
