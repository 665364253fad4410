-- Keys of objects that were replaced, of this batch and of those before it in the transaction.
insert into _replaced
select distinct {keys} from {changes} where _op <> 't' and _obj in ({objects})
