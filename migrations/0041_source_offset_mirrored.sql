-- With exactly-once delivery the offsets topic in Kafka is where a source goes on; the row here is a
-- mirror of it. A row that was written otherwise (by at-least-once delivery, or through the REST API)
-- is newer than the topic.
alter table ferroconnect.source_offset add column mirrored boolean not null default false;
