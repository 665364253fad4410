-- What is there before any connector: every type that PostgreSQL and its contrib modules have, in every interesting value.
create extension hstore; create extension citext; create extension ltree; create extension isn; create extension "uuid-ossp";
create schema peer;
set search_path = peer, public;

create type mood as enum ('sad', 'ok', 'very happy');
create type pair as (a integer, b text);
create domain price as numeric(6,2) check (value >= 0);
create domain dear_price as price;
create domain short_text as varchar(12);

-- Nullable columns: values, extremes, nulls.
create table numbers (
    id serial primary key,
    c_smallint smallint, c_int integer, c_bigint bigint, c_real real, c_double double precision,
    c_num52 numeric(5,2), c_num5 numeric(5), c_num103 numeric(10,3), c_num3810 numeric(38,10), c_numeric numeric,
    c_money money, c_bool boolean, c_oid oid, c_price price, c_dear dear_price
);
insert into numbers values
    (default, -32768, -2147483648, -9223372036854775808, 3.14, 2.718281828459045, 123.45, 12345, -0.005, 1234567890123456789.0123456789, 1234.5600, 1234.56, true, 4294967295, 12.5, 99.99),
    (default, 32767, 2147483647, 9223372036854775807, 1e30, 1e300, -999.99, -99999, 9999999.999, -0.0000000001, 100, -12.34, false, 0, 0, 0),
    (default, 0, 0, 0, 'NaN', 'NaN', 'NaN', 0, 0, 0, 'NaN', 0, null, 1, null, null),
    (default, 1, 1, 1, 'Infinity', '-Infinity', 0.01, 1, 1, 1, 'Infinity', 92233720368547758.07, true, 1, 1, 1),
    (default, 1, 1, 1, '-Infinity', 'Infinity', 0.10, 10, 10, 10, '-Infinity', -92233720368547758.08, true, 1, 1, 1),
    (default, 7, 7, 7, 1e-5, 1e-5, 1, 1, 1, 1, 1e40, 1, true, 1, 1, 1),
    (default, 7, 7, 7, 0.001, 0.001, 1, 1, 1, 1, 1e-20, 1, true, 1, 1, 1),
    (default, 7, 7, 7, 9999999, 9999999, 1, 1, 1, 1, 0.00, 1, true, 1, 1, 1),
    (default, 7, 7, 7, 1e7, 1e7, 1, 1, 1, 1, -1.50, 1, true, 1, 1, 1),
    (default, 7, 7, 7, 16777216, 9007199254740993, 1, 1, 1, 1, 12345678901234567890123456789.123456789, 1, true, 1, 1, 1),
    (default, 7, 7, 7, -0.0, -0.0, 1, 1, 1, 1, 0.000001, 1, true, 1, 1, 1),
    (default, 7, 7, 7, 3.4028235e38, 1.7976931348623157e308, 1, 1, 1, 1, 256, 1, true, 1, 1, 1),
    (default, 7, 7, 7, 1.4e-45, 4.9e-324, 1, 1, 1, 1, 1e2, 1, true, 1, 1, 1),
    (default, 7, 7, 7, 2e-44, 2e-323, 1, 1, 1, 1, 128, 1, true, 1, 1, 1);
insert into numbers default values;
insert into numbers (c_real, c_double, c_numeric)
    select (i * 1.37e3 / 7)::real, i * 1.37e5 / 7, i::numeric / 8 from generate_series(1, 40) i;

create table texts (
    id integer primary key,
    c_text text, c_varchar varchar(20), c_char char(5), c_char1 "char", c_name name, c_citext citext,
    c_json json, c_jsonb jsonb, c_xml xml, c_uuid uuid, c_inet inet, c_cidr cidr, c_mac macaddr, c_mac8 macaddr8,
    c_hstore hstore, c_ltree ltree, c_mood mood, c_short short_text, c_isbn isbn, c_tsv tsvector, c_tsq tsquery,
    c_pair pair, c_reg regclass, c_lsn pg_lsn, c_xid xid, c_tid tid
);
insert into texts values
    (1, E'plain', 'varchar', 'ab', 'x', 'nm', 'CiText', '{"a" : 1,  "b":[true,null]}', '{"b": [true, null], "a": 1}', '<a>b</a>',
     'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11', '192.168.1.5/24', '192.168.0.0/16', '08:00:2b:01:02:03', '08:00:2b:01:02:03:04:05',
     'a=>1, b=>NULL, "c d"=>"e\"f", hello=>world, zz=>1, aaa=>2, m=>3, q=>4, world=>5', 'Top.Science.Astro', 'very happy', 'short', '978-0-393-04002-9',
     'a fat cat', 'fat & rat', '(1,"x y")', 'pg_class', '16/B374D848', '42', '(0,1)'),
    (2, E'quote " back \\ slash / tab \t newline \n return \r bell \x07 del \x7f', '', '', '', '', '', '[]', '{}', '<x/>',
     '00000000-0000-0000-0000-000000000000', '::1', '::/0', 'ff:ff:ff:ff:ff:ff', 'ff:ff:ff:ff:ff:ff:ff:ff', '', '', 'sad', '', null,
     '', null, '(,)', null, '0/0', '0', '(0,0)'),
    (3, E'umlaut ä euro € emoji 😀 hebrew א line\u2028sep para\u2029sep nbsp\u00a0 bom\ufeff', 'grüße', 'ä', 'y', 'näme', 'ÄÖ', '"\u00e4\ud83d\ude00"', '"\u00e4 \u2028 \\ \/"', '<a b="c">ä</a>',
     'ffffffff-ffff-ffff-ffff-ffffffffffff', '192.168.1.5', '10.0.0.0/8', '00:00:00:00:00:00', '00:00:00:00:00:00:00:00', 'ä=>ö', 'a.b', 'ok', 'äöü', null,
     '''x'':1A,2B', 'a <-> b', null, null, null, null, null),
    (4, repeat('long ', 2000), null, null, null, null, null, 'null', 'null', null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null),
    (5, E'\x01\x02\x1f & < > '' ` = + \u0080\u009f', 'x', 'x', 'x', 'x', 'x', '1e400', '12345678901234567890.123456789', null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null);
insert into texts (id) values (6);

create table times (
    id integer primary key,
    c_date date, c_time time, c_time0 time(0), c_time3 time(3), c_time6 time(6), c_timetz timetz, c_timetz3 timetz(3),
    c_ts timestamp, c_ts0 timestamp(0), c_ts3 timestamp(3), c_ts6 timestamp(6), c_tstz timestamptz, c_tstz0 timestamptz(0), c_tstz3 timestamptz(3),
    c_interval interval, c_interval_ym interval year to month, c_interval3 interval(3)
);
insert into times values
    (1, '2024-02-29', '12:34:56.789012', '12:34:56', '12:34:56.789', '12:34:56.789012', '12:34:56.789012+02', '12:34:56.7-05:30',
     '2024-02-29 12:34:56.789012', '2024-02-29 12:34:56', '2024-02-29 12:34:56.789', '2024-02-29 12:34:56.789012',
     '2024-02-29 12:34:56.789012+02', '2024-02-29 12:34:56+02', '2024-02-29 12:34:56.7+02', '1 year 2 months 3 days 04:05:06.789', '1 year 2 months', '1.2345 s'),
    (2, '1970-01-01', '00:00', '00:00', '00:00', '00:00', '00:00+00', '00:00+14', '1970-01-01', '1970-01-01', '1970-01-01', '1970-01-01',
     '1970-01-01+00', '1970-01-01+00', '1970-01-01+00', '0', '0', '0'),
    (3, '9999-12-31', '24:00:00', '24:00:00', '24:00:00', '24:00:00', '24:00:00+00', '23:59:59.999-12', '9999-12-31 23:59:59.999999', '9999-12-31 23:59:59',
     '9999-12-31 23:59:59.999', '9999-12-31 23:59:59.999999', '9999-12-31 23:59:59.999999+00', '9999-12-31+00', '9999-12-31+00', '-1 year -2 days -03:04:05.5', '-1 mon', '-1.2345 s'),
    (4, '1582-10-15', '00:00:00.000001', '00:00:01', '00:00:00.001', '00:00:00.1', '00:00:00.1+01', '00:00:00.12+01', '1582-10-15', '1582-10-15', '1582-10-15', '1582-10-15',
     '1582-10-15+00', '1582-10-15+00', '1582-10-15+00', '178000000 years', '10 years', '100 days'),
    (5, '1969-12-31', '23:59:59.999999', '23:59:59', '23:59:59.999', '23:59:59.999999', '23:59:59.999999-00:01', '01:02:03+00', '1969-12-31 23:59:59.999999', '1969-12-31 23:59:59',
     '1969-12-31 23:59:59.999', '1969-12-31 23:59:59.999999', '1969-12-31 23:59:59.999999+00', '1969-12-31 23:59:59+00', '1969-12-31 23:59:59.9+00', '1 mon -1 day 00:00:00.000001', '0', '1 mon'),
    (6, 'infinity', '00:00', null, null, null, null, null, 'infinity', 'infinity', 'infinity', 'infinity', 'infinity', 'infinity', 'infinity', null, null, null),
    (7, '-infinity', '00:00', null, null, null, null, null, '-infinity', '-infinity', '-infinity', '-infinity', '-infinity', '-infinity', '-infinity', null, null, null),
    (8, '1000-01-01', null, null, null, null, null, null, '1500-03-01 01:02:03', '1000-01-01', '1000-01-01', '1000-01-01', '1500-03-01 01:02:03+00', '1000-01-01+00', '1000-01-01+00', null, null, null),
    (9, '0044-03-15 BC', null, null, null, null, null, null, '0044-03-15 01:02:03 BC', null, null, '0001-01-01', '0044-03-15 01:02:03+00 BC', null, '0001-01-01+00', null, null, null),
    (10, '12345-01-01', null, null, null, null, null, null, '12345-01-01', null, null, '294276-12-31 23:59:59.999999', '12345-01-01+00', null, '294276-01-01+00', null, null, null);
insert into times (id) values (11);

create table binaries (
    id integer primary key, c_bytea bytea, c_bit bit, c_bit3 bit(3), c_bit9 bit(9), c_bit17 bit(17), c_bit64 bit(64), c_varbit varbit, c_varbit1 varbit(1), c_varbit8 varbit(8)
);
insert into binaries values
    (1, '\xdeadbeef00ff', B'1', B'101', B'100000001', B'10000000000000011', repeat('10', 32)::bit(64), B'10110', B'1', B'00000001'),
    (2, '', B'0', B'000', B'000000000', B'00000000000000000', repeat('0', 64)::bit(64), B'', B'0', B''),
    (3, decode(repeat('00ff7f80', 300), 'hex'), null, null, null, null, null, repeat('1', 100)::varbit, B'', B'11111111');
insert into binaries (id) values (4);

create table shapes (
    id integer primary key, c_point point, c_line line, c_lseg lseg, c_box box, c_path path, c_polygon polygon, c_circle circle,
    c_int4r int4range, c_int8r int8range, c_numr numrange, c_tsr tsrange, c_tstzr tstzrange, c_dater daterange, c_int4mr int4multirange
);
insert into shapes values
    (1, '(1.5,2.5)', '{1,2,3}', '((1,2),(3,4))', '((3,4),(1,2))', '[(1,2),(3,4)]', '((0,0),(1,1),(1,0))', '<(1,2),3>', '[1,10)', '[1,10)', '[1.5,2.5]',
     '["2024-01-01","2024-01-02")', '["2024-01-01 00:00+00","2024-01-02 00:00+00")', '[2024-01-01,2024-02-01)', '{[1,3),[5,7)}'),
    (2, '(-1e300,NaN)', null, null, null, '((1,2),(3,4))', null, null, 'empty', '(,)', '(,5)', '[2024-01-01,)', '(,"2024-01-01 00:00+00"]', 'empty', '{}');
insert into shapes (id) values (3);

create table arrays (
    id integer primary key, a_int2 smallint[], a_int integer[], a_int8 bigint[], a_real real[], a_double double precision[], a_bool boolean[],
    a_text text[], a_varchar varchar(10)[], a_char char(3)[], a_json json[], a_jsonb jsonb[], a_uuid uuid[], a_inet inet[], a_cidr cidr[], a_mac macaddr[],
    a_num52 numeric(5,2)[], a_numeric numeric[], a_date date[], a_time time[], a_ts timestamp[], a_tstz timestamptz[], a_timetz timetz[],
    a_bytea bytea[], a_mood mood[], a_hstore hstore[], a_citext citext[], a_ltree ltree[], a_int4r int4range[], a_tsr tsrange[], a_oid oid[],
    a_interval interval[], a_money money[], a_point point[], a_name name[], a_price price[], a_pair pair[], a_xml xml[], a_tsv tsvector[]
);
insert into arrays values
    (1, '{1,-2,NULL}', '{1,NULL,3}', '{9223372036854775807}', '{1.5,NaN,1e30}', '{2.5,Infinity}', '{t,f,NULL}',
     array['a', NULL, 'with "quote"', 'comma, back\slash', '', 'NULL'], '{x,y}', '{a,bb,ccc}', array['{"a": 1}'::json], array['{"a": 1}'::jsonb, null],
     '{A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11}', '{192.168.1.5/24}', '{10.0.0.0/8}', '{08:00:2b:01:02:03}',
     '{123.45,-0.01,NULL}', '{1234.5600,100}', '{2024-02-29,1970-01-01}', '{12:34:56.789012,00:00}', '{"2024-02-29 12:34:56.789012"}', '{"2024-02-29 12:34:56.789012+02"}', '{"12:34:56.789012+02"}',
     array['\xdeadbeef'::bytea, ''::bytea, null], '{sad,"very happy"}', array['a=>1'::hstore], '{CiText}', '{Top.Science}', '{"[1,10)"}', '{"[2024-01-01,2024-01-02)"}', '{1,4294967295}',
     '{1 day}', '{1.50}', array['(1,2)'::point], '{nm}', '{1.50}', array[(1, 'x')::pair], array['<a/>'::xml], array['cat'::tsvector]),
    (2, '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}'),
    (3, null, '{{1,2},{3,4}}', '[0:1]={5,6}', null, null, null, '{{a,b},{c,d}}', null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null);
insert into arrays (id) values (4);

-- NOT NULL columns: the images of old rows show stand-ins for what the log does not have.
create table required (
    id bigint primary key, r_small smallint not null, r_int integer not null, r_big bigint not null, r_real real not null, r_double double precision not null,
    r_num numeric(5,2) not null, r_numeric numeric not null, r_money money not null, r_bool boolean not null, r_text text not null, r_char char(3) not null,
    r_bytea bytea not null, r_bit bit(3) not null, r_bit1 bit not null, r_json json not null, r_jsonb jsonb not null, r_uuid uuid not null, r_inet inet not null,
    r_date date not null, r_time time not null, r_timetz timetz not null, r_ts timestamp not null, r_ts3 timestamp(3) not null, r_tstz timestamptz not null, r_interval interval not null,
    r_mood mood not null, r_hstore hstore not null, r_ltree ltree not null, r_range int4range not null, r_point point not null, r_ints integer[] not null, r_texts text[] not null,
    r_price price not null, r_xml xml not null, r_oid oid not null
);
insert into required select i, 1, 2, 3, 4.5, 5.5, 6.25, 7.125, 8.5, true, 'text', 'ch', '\x01', B'101', B'1', '{}', '{}', 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', '10.0.0.1',
    '2024-01-01', '01:02:03', '01:02:03+00', '2024-01-01 01:02:03', '2024-01-01 01:02:03', '2024-01-01 01:02:03+00', '1 day', 'ok', 'a=>1', 'a.b', '[1,2)', '(1,2)', '{1}', '{a}', 1.5, '<a/>', 1
    from generate_series(1, 4) i;

-- Defaults: literals are shown in the schema, expressions are not.
create table defaults (
    id bigserial primary key, d_small smallint default 7, d_int integer default 42, d_big bigint not null default -1, d_real real default 1.5, d_double double precision not null default 2.5,
    d_num numeric(5,2) default 1.50, d_num_nn numeric(8,2) not null default 1.5, d_numeric numeric default 3.1400, d_bool boolean not null default true, d_text text default 'it''s', d_empty text not null default '',
    d_varchar varchar(20) default 'nm', d_char char(5) default 'ab', d_now timestamptz default now(), d_now_nn timestamptz not null default now(), d_ts timestamp default '2024-01-01 00:00:00', d_tsnn timestamp(3) not null default '2024-01-01 00:00:00',
    d_date date default '2024-02-29', d_time time default '12:34:56', d_timetz timetz default '12:34:56+02', d_tstz timestamptz default '2024-01-01 00:00:00+00', d_interval interval default '1 day',
    d_uuid uuid default uuid_generate_v4(), d_uuid_lit uuid default 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', d_json json default '{"a":1}', d_jsonb jsonb not null default '{}', d_mood mood default 'ok', d_mood_nn mood not null default 'sad',
    d_bytea bytea default '\x01ff', d_bit bit(3) default B'101', d_bit1 bit default B'1', d_money money default 1.5, d_ints integer[] default '{1,2}', d_texts text[] not null default '{}', d_hstore hstore default 'a=>1', d_price price default 2.5,
    d_null integer default null, d_expr integer default 1 + 2, d_concat text default 'a' || 'b', d_cast integer default '5'::integer, d_user text default current_user, d_inet inet default '10.0.0.1', d_point point default '(1,2)', d_neg integer not null default -5, d_xml xml default '<a/>', d_range int4range default '[1,2)', d_citext citext default 'Ci', d_oid oid default 5
);
insert into defaults default values;
insert into defaults (d_small, d_int, d_real, d_num, d_text, d_mood, d_json, d_ts, d_date) values (null, null, null, null, null, null, null, null, null);

-- Keys.
create table composite_key (b integer, a text, note text, primary key (a, b));
create table no_key (x integer, y text);
create table unique_only (u integer not null, v text, w text not null);
create unique index unique_only_u on unique_only (u);
create unique index unique_only_a_expr on unique_only (lower(w));
create table full_identity (id integer primary key, a text, b integer not null default 3, c timestamptz, big text);
alter table full_identity replica identity full;
create table nothing_identity (id integer primary key, a text);
alter table nothing_identity replica identity nothing;
create table index_identity (id integer primary key, code text not null, a text);
create unique index index_identity_code on index_identity (code);
alter table index_identity replica identity using index index_identity_code;
create table generated (id integer primary key, a integer, twice integer generated always as (a * 2) stored, ident integer generated by default as identity);
create table "Strange Name" ("Id" integer primary key, "with space" text, "dash-ed" text, "select" text, "1digit" text, "ünïcode" text, "dollar$" text, "do.t" text);
create table parted (id integer, region text, v text, primary key (id, region)) partition by list (region);
create table parted_north partition of parted for values in ('north');
create table parted_south partition of parted for values in ('south');
create view a_view as select 1 as one;
insert into composite_key select i, 'k' || i, 'note' from generate_series(1, 3) i;
insert into no_key values (1, 'one'), (1, 'one'), (2, null);
insert into unique_only values (1, 'v', 'W'), (2, null, 'X');
insert into full_identity select i, 'a' || i, i, '2024-01-01+00', repeat(md5(i::text), 300) from generate_series(1, 4) i;
insert into nothing_identity values (1, 'a');
insert into index_identity values (1, 'one', 'a'), (2, 'two', 'b');
insert into generated (id, a) values (1, 1), (2, null);
insert into "Strange Name" values (1, 'a', 'b', 'c', 'd', 'e', 'f', 'g');
insert into parted values (1, 'north', 'a'), (2, 'south', 'b');

create table toast (id integer primary key, small text, t text, v varchar, b bytea, j jsonb, js json, h hstore, x xml, ti text[], ii integer[], bi bigint[], d date[], u uuid[], n numeric);
alter table toast alter t set storage external, alter v set storage external, alter b set storage external;
create table toast_full (like toast including all);
alter table toast_full replica identity full;
create function big_row(i integer) returns toast language sql as $$
    select i, 'small', string_agg(md5((i * n)::text), ''), string_agg(md5((i + n)::text), ''), decode(string_agg(md5((i * n)::text), ''), 'hex'),
        jsonb_object_agg('k' || n, md5((i * n)::text)), json_object_agg('k' || n, md5((i * n)::text)), hstore(array_agg('k' || n), array_agg(md5((i * n)::text))),
        ('<a>' || string_agg(md5((i * n)::text), ' ') || '</a>')::xml, array_agg(md5((i * n)::text)), array_agg((i * 7919 * n) % 2147483), array_agg(n * 123456789::bigint * i),
        array_agg(date '2024-01-01' + n::integer), array_agg(md5((i * n)::text)::uuid), ('1' || repeat('123456789', 1000))::numeric
    from generate_series(1, 400) n $$;
insert into toast select (big_row(i)).* from generate_series(1, 3) i;
insert into toast_full select (big_row(i)).* from generate_series(1, 3) i;

create table empty_one (id integer primary key, v text);
create table ddl (id integer primary key, a text);
insert into ddl values (1, 'before');
create table bulk (id bigint primary key, k integer, v numeric(12,2), s text, ts timestamptz);
insert into bulk select i, i % 10, i / 100.0, 's' || i, '2024-01-01+00' from generate_series(1, 3000) i;
-- The last table by name: its rows say how far a connector is.
create table zz_marker (id integer primary key, what text);
insert into zz_marker values (1, 'snapshot');
create table signals (id varchar(42) primary key, type varchar(32) not null, data varchar(2048));

create publication peer_publication for all tables;
