-- What happens while the connectors stream. One transaction for each statement unless it says otherwise. At each line
-- `--@wait` the rows so far have to arrive before it goes on: the original asks the database for keys and defaults when it
-- sees a table's description in the log, and what it finds depends on what the table has become since.

-- Every value once more, this time out of the log.
create function again(tab text) returns void language plpgsql as $$
declare columns text;
begin
    select string_agg(quote_ident(attname), ', ' order by attnum) into columns from pg_attribute
        where attrelid = tab::regclass and attnum > 0 and not attisdropped and attname <> 'id' and attgenerated = '';
    execute format('insert into %s (id, %s) select id + 1000, %s from %s where id < 1000 order by id', tab, columns, columns, tab);
end $$;
select again('numbers'); select again('texts'); select again('times'); select again('binaries'); select again('shapes'); select again('arrays');
select again('required'); select again('defaults'); select again('generated');
insert into defaults default values;

--@wait
-- Updates and deletes under each replica identity.
update numbers set c_int = 5 where id = 1;
update numbers set c_int = null, c_numeric = 1.10 where id in (2, 3);
delete from numbers where id in (1, 4);
update texts set c_text = 'changed', c_hstore = 'k=>v' where id = 1;
delete from texts where id in (2, 6);
update times set c_date = c_date where id = 1;
delete from times where id = 2;
update required set r_int = 9 where id = 1;
delete from required where id in (1, 2);
update required set id = 77 where id = 3;
update defaults set d_int = null, d_text = null where id = 1;
delete from defaults where id = 2;
delete from arrays where id = 1; delete from binaries where id = 1; delete from shapes where id = 1;
update composite_key set note = 'n2' where b = 1;
update composite_key set b = 100 where b = 2;
update composite_key set a = 'moved', note = 'both' where b = 3;
delete from composite_key where b = 1;
update full_identity set a = 'x' where id = 1;
update full_identity set a = a where id = 2;
update full_identity set id = 200 where id = 2;
delete from full_identity where id in (1, 3);
update index_identity set a = 'x' where id = 1;
update index_identity set code = 'uno' where id = 1;
update index_identity set id = 20 where id = 2;
delete from index_identity where id = 1;
insert into no_key values (3, 'three');
insert into nothing_identity values (2, 'b');
insert into unique_only values (3, 'v3', 'Y');
update generated set a = 10 where id = 1;
insert into "Strange Name" values (2, 'a', null, 'c', 'd', 'e', 'f', 'g');
update "Strange Name" set "Id" = 3 where "Id" = 2;
delete from "Strange Name" where "Id" = 3;
insert into parted values (3, 'north', 'c'), (4, 'south', 'd');
update parted set region = 'south' where id = 3;
delete from parted where id = 4;

--@wait
-- What an update does not touch is not in the log when it is stored out of line.
update toast set small = 'touched' where id = 1;
update toast set t = 'short now' where id = 2;
update toast set id = 30 where id = 3;
delete from toast where id = 1;
update toast_full set small = 'touched' where id = 1;
update toast_full set id = 30 where id = 3;
delete from toast_full where id = 1;

--@wait
-- Several changes of a row, savepoints, and what is rolled back, in one transaction.
begin;
insert into empty_one values (1, 'a'), (2, 'b');
update empty_one set v = 'a2' where id = 1;
savepoint s;
insert into empty_one values (3, 'rolled back');
rollback to s;
savepoint s2;
insert into empty_one values (4, 'kept');
release s2;
update empty_one set id = 5 where id = 4;
delete from empty_one where id = 1;
insert into empty_one values (1, 'again');
commit;
begin; insert into empty_one values (99, 'never'); rollback;
insert into empty_one values (6, 'p') on conflict (id) do update set v = 'q';
insert into empty_one values (6, 'p') on conflict (id) do update set v = 'q';
truncate empty_one;
truncate composite_key, no_key;
insert into empty_one values (7, 'after truncate');

-- Tables change.
--@wait
alter table ddl add column b integer;
insert into ddl values (2, 'b added', 5);
--@wait
alter table ddl add column c text not null default 'dflt';
insert into ddl (id, a) values (3, 'c added');
--@wait
alter table ddl alter column b type bigint;
insert into ddl values (4, 'b wider', 9000000000, 'c');
--@wait
alter table ddl rename column a to aa;
update ddl set aa = 'renamed' where id = 1;
--@wait
alter table ddl drop column b;
insert into ddl values (5, 'b dropped', 'c');
--@wait
begin; alter table ddl add column d numeric(4,1); insert into ddl values (6, 'same transaction', 'c', 1.5); commit;
--@wait
alter table ddl drop constraint ddl_pkey;
insert into ddl values (7, 'no key', 'c', 2);
--@wait
alter table ddl add primary key (id, c);
update ddl set aa = 'new key' where id = 7;
delete from ddl where id = 7;
--@wait
alter type mood add value 'new mood';
insert into texts (id, c_mood) values (500, 'new mood');
--@wait
create table late (id integer primary key, v text, n numeric(3,1) default 1.5);
insert into late values (1, 'late table', 2.5);
update late set v = 'changed' where id = 1;
--@wait
alter table late rename to later;
insert into later values (2, 'renamed table', 1);

--@wait
select pg_logical_emit_message(true, 'peer', 'transactional');
select pg_logical_emit_message(false, 'peer', 'immediate');

-- Large transactions: above logical_decoding_work_mem, so that they spill or stream.
set logical_decoding_work_mem = '64kB';
insert into bulk select i, i % 10, i / 100.0, 's' || i, '2024-01-01+00' from generate_series(10001, 30000) i;
begin;
update bulk set k = k + 1 where id <= 2000;
delete from bulk where id <= 1000;
update bulk set id = id + 1000000 where id between 1001 and 1100;
commit;
