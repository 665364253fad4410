-- How many records a file has: an object's tags say it, and are put again after a crash.
alter table ferroconnect.sink_file add column records bigint not null default 0;
