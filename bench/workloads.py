"""What is measured. Each workload is prepared once and run several times; a run gives a dictionary of figures."""

import os
import shutil
import time

from measure import PostgresCpu, cpu, peak_rss_mb
from stack import DATABASE, BenchError, Watch, Worker, tool

PUBLICATION = "bench_publication"
BASE_SLOT = "bench_base"
BUCKET = "bench"
# Row i of `bench/src/narrow.rs`: five columns, about 85 bytes as pgoutput sends them.
COLUMNS = """id bigint primary key, k integer, v numeric(12,2), s text, ts timestamptz"""
ROW = """i, i % 1000, (i % 100000)::numeric / 100, 'name-' || i, timestamptz '2026-01-01' + i % 3600 * interval '1.000001 s'"""


# 21 columns of the kinds that real tables have; with its jsonb a row is about 1 KB.
WIDE_COLUMNS = """id bigint primary key, a integer not null, b integer, c bigint, d smallint, e numeric(12,2), f numeric(30,10),
    g double precision, h real, i boolean, j text, k varchar(100), l text, m uuid, n date, o time, p timestamp, q timestamptz,
    r integer[], s bytea, t jsonb"""
WIDE_ROW = """i, (i % 1000)::int, case when i % 7 = 0 then null else i::int end, i::bigint * 1000003, (i % 30000)::smallint,
    (i % 100000)::numeric / 100, i::numeric / 7, i / 3.0::float8, (i % 1000) / 4.0::float4, i % 2 = 0, 'name-' || i,
    'street ' || i % 1000 || ', city ' || i % 100, repeat('text ', 20), md5(i::text)::uuid, date '2026-01-01' + (i % 365)::int,
    time '00:00' + i % 86400 * interval '1 s', timestamp '2026-01-01' + i % 3600 * interval '1.000001 s',
    timestamptz '2026-01-01' + i % 3600 * interval '1.000001 s', array[i % 10, i % 20, i % 30]::int[], decode(md5(i::text), 'hex'),
    jsonb_build_object('id', i, 'tags', jsonb_build_array('a', 'b', i % 10), 'note', repeat(md5(i::text), 12),
    'nested', jsonb_build_object('x', i % 100, 'y', null, 'z', true))"""
# Table to columns, and row i.
TABLES = {"narrow": (COLUMNS, ROW), "wide": (WIDE_COLUMNS, WIDE_ROW)}


def make_table(services, table):
    services.sql(f"drop table if exists {table}; create table {table} ({TABLES[table][0]})")


def insert(table, first, last):
    return f"insert into {table} select {TABLES[table][1]} from generate_series({first}, {last}) i"


def make_database(services):
    services.sql(f"drop database if exists {DATABASE}", "postgres")
    services.sql(f"create database {DATABASE}", "postgres")


class Measured:
    """CPU of every process between two points of time, per million events, and the worker's peak memory."""

    def __init__(self, services, worker):
        self.services, self.worker = services, worker
        self.postgres = PostgresCpu(services.pid("postgres"))
        self.before = self._now()
        self.begun = time.time()

    def _now(self):
        pids = {"worker": self.worker.pid, "kafka": self.services.pid("kafka"), "s3": self.services.pid("s3")}
        return {name: cpu(pid) for name, pid in pids.items()}

    def finish(self, events):
        million = events / 1e6
        figures = {f"{name}_cpu": (now - self.before[name]) / million for name, now in self._now().items()}
        for kind, seconds in self.postgres.finish().items():
            figures[f"postgres_{kind}_cpu"] = seconds / million
        figures["rss_mb"] = peak_rss_mb(self.worker.pid)
        figures["events"] = events
        return figures


def source_config(services, run, table, **more):
    host, port = services.postgres.split(":")
    config = {
        "connector.class": "io.debezium.connector.postgresql.PostgresConnector",
        "plugin.name": "pgoutput",
        "database.hostname": host,
        "database.port": port,
        "database.user": "postgres",
        "database.password": "postgres",
        "database.dbname": DATABASE,
        "topic.prefix": run,
        "table.include.list": f"public.{table}",
        "publication.name": PUBLICATION,
        "slot.name": run,
        "key.converter": "org.apache.kafka.connect.json.JsonConverter",
        "key.converter.schemas.enable": "false",
        "value.converter": "org.apache.kafka.connect.json.JsonConverter",
        "value.converter.schemas.enable": "false",
    }
    config.update({key.replace("_", "."): value for key, value in more.items()})
    return config


def sink_config(topic, more):
    config = {
        "connector.class": "io.confluent.connect.s3.S3SinkConnector",
        "topics": topic,
        "s3.bucket.name": BUCKET,
        "s3.part.size": "5242880",
        "flush.size": "1000",
        "storage.class": "io.confluent.connect.s3.storage.S3Storage",
        "format.class": "io.confluent.connect.s3.format.parquet.ParquetFormat",
        "schema.compatibility": "NONE",
        "partitioner.class": "io.confluent.connect.storage.partitioner.DefaultPartitioner",
        "aws.access.key.id": "<YOUR_KEY>",
        "aws.secret.access.key": "<YOUR_SECRET>",
    }
    return {**config, **more}


class Streaming:
    """Changes decoded from WAL that is there before the worker starts: inserts, or updates of rows that were there."""

    def __init__(self, services, rows, table="narrow", transaction=100, updates=False):
        self.services, self.table, self.transaction, self.updates = services, table, transaction, updates
        self.rows = rows // transaction * transaction
        self.run_number = 0

    def prepare(self):
        sql = self.services.sql
        make_database(self.services)
        make_table(self.services, self.table)
        if self.updates:
            sql(f"alter table {self.table} replica identity full; {insert(self.table, 1, self.rows)}")
            sql(f"vacuum (freeze, analyze) {self.table}")
        sql(f"create publication {PUBLICATION} for table {self.table}")
        # The slot that stays before the rows: each reader gets a copy of it.
        sql(f"select pg_create_logical_replication_slot('{BASE_SLOT}', 'pgoutput')")
        size = self.transaction
        first, last = f"t * {size} + 1", f"t * {size} + {size}"
        change = insert(self.table, first, last)
        if self.updates:
            change = f"update {self.table} set s = s || '!', k = k + 1 where id between {first} and {last}"
        sql(f"do $$ begin for t in 0..{self.rows // size - 1} loop {change}; commit; end loop; end $$")
        sql("checkpoint", "postgres")

    def copy_slot(self, name):
        self.services.sql(f"select pg_copy_logical_replication_slot('{BASE_SLOT}', '{name}')")
        return name

    def drop_slot(self, name):
        for _ in range(50):
            if not self.services.sql(f"select 1 from pg_replication_slots where slot_name = '{name}' and active"):
                break
            time.sleep(0.1)
        self.services.sql(f"select pg_drop_replication_slot('{name}') from pg_replication_slots where slot_name = '{name}'")

    def clean(self):
        self.drop_slot(BASE_SLOT)

    def floor(self, nap_us=0):
        slot = self.copy_slot("bench_floor")
        try:
            found = tool(
                *("replication", "--postgres", self.services.postgres, "--database", DATABASE, "--slot", slot),
                *("--publication", PUBLICATION, "--rows", self.rows, "--nap-us", nap_us),
            )
        finally:
            self.drop_slot(slot)
        return floor_figures(found)

    def run(self, **more):
        self.run_number += 1
        name = self.copy_slot(f"bench_stream_{os.getpid()}_{self.run_number}")
        worker = Worker(self.services)
        worker.forget()
        try:
            worker.start()
            topic = f"{name}.public.{self.table}"
            watch = Watch(self.services.kafka, topic, self.rows)
            measured = Measured(self.services, worker)
            worker.post(name, source_config(self.services, name, self.table, snapshot_mode="no_data", **more))
            seen = watch.wait(worker)
            figures = measured.finish(self.rows)
            figures["rate"] = self.rows / (seen["all"] - seen["first"])
            figures["first_event_s"] = seen["first"] - measured.begun
            worker.call("DELETE", f"/connectors/{name}")
        finally:
            worker.stop()
            self.drop_slot(name)
        return check_topic(self.services, topic, self.rows, figures)


class Snapshot:
    """Rows that are in the table already."""

    def __init__(self, services, rows, table="narrow"):
        self.services, self.rows, self.table = services, rows, table
        self.run_number = 0

    def prepare(self):
        make_database(self.services)
        make_table(self.services, self.table)
        self.services.sql(f"create publication {PUBLICATION} for table {self.table}")
        self.services.sql(insert(self.table, 1, self.rows))
        # Hint bits and visibility are set before the first reader, not by it.
        self.services.sql(f"vacuum (freeze, analyze) {self.table}")
        self.services.sql("checkpoint", "postgres")

    def clean(self):
        pass

    def floor(self):
        command = ("copy", "--postgres", self.services.postgres, "--database", DATABASE, "--table", self.table)
        return floor_figures(tool(*command))

    def run(self, **more):
        self.run_number += 1
        name = f"bench_snapshot_{os.getpid()}_{self.run_number}"
        worker = Worker(self.services)
        worker.forget()
        try:
            worker.start()
            topic = f"{name}.public.{self.table}"
            watch = Watch(self.services.kafka, topic, self.rows)
            measured = Measured(self.services, worker)
            worker.post(name, source_config(self.services, name, self.table, snapshot_mode="initial", **more))
            seen = watch.wait(worker)
            figures = measured.finish(self.rows)
            figures["rate"] = self.rows / (seen["all"] - seen["first"])
            figures["first_event_s"] = seen["first"] - measured.begun
            worker.call("DELETE", f"/connectors/{name}")
        finally:
            worker.stop()
            Streaming.drop_slot(self, name)
        return check_topic(self.services, topic, self.rows, figures)


class Sink:
    """Narrow JSON records with schemas to objects, `paths` of them at a time in each partition."""

    FILES_PER_PARTITION = 5

    def __init__(self, services, rows, partitions=4, paths=1):
        self.partitions, self.paths = partitions, paths
        self.cuts = self.FILES_PER_PARTITION if paths == 1 else 1
        # Every file is full: the last one too is completed by flush.size.
        self.flush_size = max(1, rows // (partitions * self.cuts))
        self.rows = self.flush_size * partitions * self.cuts
        self.files = partitions * self.cuts * paths
        self.services = services
        self.topic = f"bench_sink_{os.getpid()}_{partitions}_{paths}"
        self.run_number = 0

    def prepare(self):
        command = ("fill", "--kafka", self.services.kafka, "--topic", self.topic, "--rows", self.rows)
        tool(*command, "--partitions", self.partitions)
        (self.services.s3_dir / BUCKET).mkdir(parents=True, exist_ok=True)

    def clean(self):
        delete_topic(self.services, self.topic)
        shutil.rmtree(self.services.s3_dir / BUCKET, ignore_errors=True)

    def consume_floor(self):
        return floor_figures(tool("consume", "--kafka", self.services.kafka, "--topic", self.topic))

    def parquet_floor(self, codec="snappy"):
        return floor_figures(tool("parquet", "--rows", self.rows, "--compression", codec))

    def run(self, **more):
        self.run_number += 1
        name = f"bench-sink-{os.getpid()}-{self.partitions}-{self.paths}-{self.run_number}"
        folder = self.services.s3_dir / BUCKET / name / self.topic
        own = {"tasks.max": "2", "flush.size": str(self.flush_size), "topics.dir": name}
        more = {key.replace("_", "."): value for key, value in more.items()}
        if self.paths > 1:
            # The column k of row i is i % 1000.
            own["partitioner.class"] = "io.confluent.connect.storage.partitioner.FieldPartitioner"
            own["partition.field.name"] = "k"
        config = sink_config(self.topic, {**own, **more})
        worker = Worker(self.services)
        worker.forget()
        try:
            worker.start()
            measured = Measured(self.services, worker)
            worker.post(name, config)
            self._wait_for_files(worker, folder)
            figures = measured.finish(self.rows)
            figures["rate"] = self.rows / (time.time() - measured.begun)
            worker.call("DELETE", f"/connectors/{name}")
        finally:
            worker.stop()
        ledger = tool("objects", "--dir", folder, "--rows", self.rows)
        figures["object_mb"] = ledger["bytes"] / 1e6
        figures["ledger"] = ledger
        if not ledger["exact"]:
            raise BenchError(f"the objects are not the topic: {ledger}")
        # Ten million rows several times would fill the disk.
        shutil.rmtree(folder.parent, ignore_errors=True)
        return figures

    def _wait_for_files(self, worker, folder, timeout=900):
        deadline = time.monotonic() + timeout
        checked = time.monotonic()
        while count_files(folder) < self.files:
            if time.monotonic() - checked > 1:
                worker.check()
                checked = time.monotonic()
            if time.monotonic() > deadline:
                raise BenchError(f"waited {timeout} s for the objects" + worker.log_tail())
            time.sleep(0.02)


class StartUp:
    """From exec to the first answer of the REST API, and to the first event acknowledged by Kafka."""

    def __init__(self, services):
        self.services = services
        self.worker = Worker(services)
        self.name = f"bench_start_{os.getpid()}"
        self.rows = 0

    def prepare(self):
        make_database(self.services)
        make_table(self.services, "narrow")
        self.services.sql(f"create publication {PUBLICATION} for table narrow")
        self.worker.forget()
        self.worker.start()
        config = source_config(self.services, self.name, "narrow", snapshot_mode="no_data")
        self.worker.post(self.name, config)
        wait_until_streaming(self.services, self.worker, self.name)
        self._insert()
        Watch(self.services.kafka, f"{self.name}.public.narrow", self.rows).wait(self.worker)
        self.worker.stop()

    def _insert(self):
        self.rows += 1
        self.services.sql(insert("narrow", self.rows, self.rows))

    def run(self):
        """The connector is known and a row is waiting."""
        self._insert()
        watch = Watch(self.services.kafka, f"{self.name}.public.narrow", self.rows, every_ms=2)
        # The watcher is to look already when the worker starts.
        time.sleep(0.5)
        self.worker.start(answering=False)
        try:
            answering = self.worker.wait_until_answering()
            seen = watch.wait(self.worker)
            figures = {"rest_s": answering, "first_event_s": seen["all"] - self.worker.started}
            figures["rss_mb"] = peak_rss_mb(self.worker.pid)
        finally:
            self.worker.stop()
        return check_topic(self.services, f"{self.name}.public.narrow", self.rows, figures, keep=True)

    def clean(self):
        delete_topic(self.services, f"{self.name}.public.narrow")
        Streaming.drop_slot(self, self.name)


class Latency:
    """From a row's commit, by the server's clock, to the time that the broker gave its record, at a steady rate."""

    RATE = 5000
    # A hundred transactions a second.
    TRANSACTION = 50

    def __init__(self, services, rows):
        self.services = services
        self.rows = rows // self.TRANSACTION * self.TRANSACTION
        self.run_number = 0

    def prepare(self):
        make_database(self.services)
        make_table(self.services, "narrow")
        self.services.sql(f"create publication {PUBLICATION} for table narrow")

    def clean(self):
        pass

    def run(self):
        self.run_number += 1
        name = f"bench_latency_{os.getpid()}_{self.run_number}"
        topic = f"{name}.public.narrow"
        self.services.sql("truncate narrow")
        creation = {
            "topic.creation.default.partitions": "1",
            "topic.creation.default.replication.factor": "1",
            "topic.creation.default.message.timestamp.type": "LogAppendTime",
        }
        worker = Worker(self.services)
        worker.forget()
        try:
            worker.start()
            worker.post(name, source_config(self.services, name, "narrow", snapshot_mode="no_data", **creation))
            wait_until_streaming(self.services, worker, name)
            watch = Watch(self.services.kafka, topic, self.rows)
            measured = Measured(self.services, worker)
            change = insert("narrow", f"t * {self.TRANSACTION} + 1", f"t * {self.TRANSACTION} + {self.TRANSACTION}")
            pause = self.TRANSACTION / self.RATE
            self.services.sql(
                f"""do $$ declare begun timestamptz := clock_timestamp(); begin
                    for t in 0..{self.rows // self.TRANSACTION - 1} loop {change}; commit;
                        perform pg_sleep(extract(epoch from begun + (t + 1) * interval '{pause} s' - clock_timestamp()));
                    end loop; end $$"""
            )
            seen = watch.wait(worker)
            figures = measured.finish(self.rows)
            figures["rate"] = self.rows / (seen["all"] - seen["first"])
            worker.call("DELETE", f"/connectors/{name}")
        finally:
            worker.stop()
            Streaming.drop_slot(self, name)
        figures.update(tool("latency", "--kafka", self.services.kafka, "--topic", topic))
        return check_topic(self.services, topic, self.rows, figures)


class Listing:
    """`GET /connectors?expand=status&expand=info` with 500 connectors: what consoles ask for on every page.

    The connectors are stopped, so that nothing but the listing takes time; each has the configuration of a sink and two
    tasks with their statuses, put into the state database as tasks that run would have left them.
    """

    CONNECTORS = 500
    TASKS = 2
    LISTINGS = 100

    def __init__(self, services):
        self.services = services
        self.worker = Worker(services)

    def prepare(self):
        self.worker.forget()
        self.worker.start()
        config = sink_config("bench_listing", {"tasks.max": str(self.TASKS)})
        for number in range(self.CONNECTORS):
            body = {"name": f"bench-listing-{number}", "config": config, "initial_state": "STOPPED"}
            self.worker.call("POST", "/connectors", body)
        deadline = time.monotonic() + 60
        while len(self._list()) < self.CONNECTORS:
            if time.monotonic() > deadline:
                raise BenchError("not every connector has a status" + self.worker.log_tail())
            time.sleep(0.1)
        self.services.sql(
            f"""insert into ferroconnect.task_config (connector, task, config, config_version)
                select name, task, '{{}}', config_version from ferroconnect.connector, generate_series(0, {self.TASKS - 1}) task;
                insert into ferroconnect.task_status (connector, task, state, worker_id, version, epoch)
                select connector, task, 'RUNNING', '10.0.0.1:8083', '12.1.0', 0 from ferroconnect.task_config;
                analyze""",
            Worker.STATE_DATABASE,
        )

    def _list(self):
        return self.worker.call("GET", "/connectors?expand=status&expand=info")

    def run(self):
        listed = self._list()
        tasks = sum(len(entry["status"]["tasks"]) + len(entry["info"]["tasks"]) for entry in listed.values())
        if len(listed) != self.CONNECTORS or tasks != 2 * self.TASKS * self.CONNECTORS:
            raise BenchError(f"{len(listed)} connectors and {tasks} tasks are listed")
        before = cpu(self.worker.pid)
        times = []
        for _ in range(self.LISTINGS):
            begun = time.perf_counter()
            self._list()
            times.append((time.perf_counter() - begun) * 1000)
        times.sort()
        return {
            "median_ms": times[len(times) // 2],
            "p99_ms": times[len(times) * 99 // 100],
            "listing_cpu_ms": (cpu(self.worker.pid) - before) / self.LISTINGS * 1000,
        }

    def clean(self):
        self.worker.stop()


def wait_until_streaming(services, worker, slot):
    deadline = time.monotonic() + 30
    while not services.sql(f"select 1 from pg_replication_slots where slot_name = '{slot}' and active"):
        worker.check()
        if time.monotonic() > deadline:
            raise BenchError("the connector does not stream" + worker.log_tail())
        time.sleep(0.1)


def produce_floor(services, rows, codec):
    topic = f"bench_produce_{os.getpid()}_{codec}_{time.monotonic_ns()}"
    kafka = services.pid("kafka")
    before = cpu(kafka)
    found = tool("produce", "--kafka", services.kafka, "--topic", topic, "--rows", rows, "--compression", codec)
    spent = cpu(kafka) - before
    delete_topic(services, topic)
    return dict(floor_figures(found), kafka_cpu=spent / rows * 1e6)


def floor_figures(found):
    million = found["events"] / 1e6
    figures = {"events": found["events"], "rate": found["events"] / found["wall_s"]}
    figures["bytes_per_event"] = found["bytes"] / found["events"]
    for name in ("client_cpu", "server_cpu", "build_cpu"):
        if f"{name}_s" in found:
            figures[name] = found[f"{name}_s"] / million
    return figures


def delete_topic(services, topic):
    tool("delete", "--kafka", services.kafka, "--topic", topic)


def check_topic(services, topic, rows, figures, keep=False):
    """The ledger: a run whose topic is not exactly the rows is void."""
    ledger = tool("ledger", "--kafka", services.kafka, "--topic", topic, "--rows", rows)
    if not keep:
        delete_topic(services, topic)
    figures["value_bytes"] = ledger["value_bytes"] / max(1, ledger["records"])
    figures["ledger"] = {key: value for key, value in ledger.items() if key != "example"}
    if not ledger["exact"]:
        raise BenchError(f"the topic is not the table: {ledger}")
    return figures


def count_files(folder):
    try:
        return sum(count_files(e.path) if e.is_dir() else e.name.endswith((".parquet", ".json")) for e in os.scandir(folder))
    except FileNotFoundError:
        return 0
