select count(*) filter (_outcome = 'opened'),
       count(*) filter (_outcome = 'closed'),
       count(*) filter (_outcome = 'unchanged'),
       count(*) filter (_outcome = 'duplicate'),
       count(*) filter (_outcome = 'absent'),
       count(*) filter (_clamped),
       count(*) filter (_incomplete and _outcome = 'opened'),
       (select count(*) from (select distinct {keys} from _folded where _late))
from _folded
where _new and _op <> 't'
