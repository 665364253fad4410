"""What both sides are measured with. A workload makes its log or its table once; every run reads it anew."""

import json
import os
import statistics
import time

from originals import TUNED_JAVA, Original, Ours
from stack import DATABASE, BenchError, Watch, tool
from workloads import BASE_SLOT, PUBLICATION, ROW, Measured, Streaming, make_database, make_table, source_config

SIDES = {
    "ours": lambda services: Ours(services, "bench_ours"),
    "original": lambda services: Original(services, ["debezium-3"], "bench-original"),
    "original, tuned": lambda services: Original(services, ["debezium-3"], "bench-tuned", TUNED_JAVA),
}
TUNED = {"max.batch.size": "8192", "max.queue.size": "32768"}
# Of the full sizes.
EVENTS = {"W1": 5_000_000, "W2": 1_000_000, "W3": 1_000_000, "W4": 2_000_000, "W5": 1_000_000, "W6": 10_000_000, "W8": 6_000_000}
WIDE = ", ".join(f"c{n} {kind}" for n, kind in enumerate(["integer", "bigint", "numeric(12,2)", "text", "timestamptz"] * 3 + ["boolean", "uuid", "date", "text"], 1))
WIDE_ROW = ", ".join(
    ["i", "i * 1000003::bigint", "(i % 100000)::numeric / 100", "'some text of row ' || i || ' that is not short'", "timestamptz '2026-01-01' + i * interval '1 s'"] * 3
    + ["i % 2 = 0", "md5(i::text)::uuid", "date '2026-01-01' + (i % 365)::integer", "'line ' || i || E'\\n \"quoted\"'"]
)


def per_commit(statement, rows, each):
    """Runs the statement for ids from + 1 to `upto`, so many in a transaction."""
    return f"""do $$ declare first bigint; upto bigint; begin for t in 0..{rows // each - 1} loop
        first := t * {each}::bigint + 1; upto := first + {each - 1};
        {statement}; commit; end loop; end $$"""


class Workload:
    table = "narrow"
    snapshot = "no_data"
    note = ""

    def __init__(self, services, scale):
        self.services = services
        self.rows = max(1000, EVENTS[self.name] // scale) // 1000 * 1000
        self.events = self.rows
        self.number = 0

    def prepare(self):
        make_database(self.services)
        self.make_table()
        sql = self.services.sql
        sql(f"create publication {PUBLICATION} for table {self.table}")
        sql(f"select pg_create_logical_replication_slot('{BASE_SLOT}', 'pgoutput')")
        self.fill()
        sql("checkpoint", "postgres")

    def make_table(self):
        make_table(self.services, "narrow")

    def clean(self):
        Streaming.drop_slot(self, BASE_SLOT)

    def run(self, side, worker):
        self.number += 1
        name = f"peer_{self.name.lower()}_{os.getpid()}_{self.number}"
        if self.snapshot == "no_data":
            self.services.sql(f"select pg_copy_logical_replication_slot('{BASE_SLOT}', '{name}')")
        topic = f"{name}.public.{self.table}"
        config = source_config(self.services, name, self.table, snapshot_mode=self.snapshot, tombstones_on_delete="false")
        config.update(TUNED if side == "original, tuned" else {})
        try:
            watch = Watch(self.services.kafka, topic, self.events)
            measured = Measured(self.services, worker)
            worker.post(name, config)
            seen = watch.wait(worker)
            figures = measured.finish(self.events)
        finally:
            worker.call("DELETE", f"/connectors/{name}")
            Streaming.drop_slot(self, name)
        figures["rate"] = self.events / max(0.001, seen["all"] - seen["first"])
        figures["wall_s"] = seen["all"] - measured.begun
        self.check(topic, figures)
        return figures

    def check(self, topic, figures):
        ledger = tool("ledger", "--kafka", self.services.kafka, "--topic", topic, "--rows", self.rows)
        ledger.pop("example", None)
        figures["ledger"] = ledger
        figures["value_bytes"] = ledger["value_bytes"] / max(1, ledger["records"])
        if not ledger["exact"]:
            raise BenchError(f"the topic is not the table: {ledger}")


class Narrow(Workload):
    name, note = "W1", "narrow inserts, 100 a transaction"

    def fill(self):
        self.services.sql(per_commit(f"insert into narrow select {ROW} from generate_series(first, upto) i", self.rows, 100))


class Wide(Workload):
    name, note, table = "W2", "wide inserts with jsonb, about 1 KB", "wide"

    def make_table(self):
        self.services.sql(f"create table wide (id bigint primary key, {WIDE}, j jsonb)")

    def fill(self):
        row = f"i, {WIDE_ROW}, jsonb_build_object('id', i, 'tags', array['a', 'b', i::text], 'text', repeat('payload ', 40), 'nested', jsonb_build_object('x', i, 'y', null))"
        self.services.sql(per_commit(f"insert into wide select {row} from generate_series(first, upto) i", self.rows, 100))


class Updates(Workload):
    name, note = "W3", "narrow updates, replica identity full"

    def make_table(self):
        make_table(self.services, "narrow")
        self.services.sql("alter table narrow replica identity full")
        self.services.sql(f"insert into narrow select {ROW} from generate_series(1, {self.rows}) i")

    def fill(self):
        self.services.sql(per_commit("update narrow set k = k + 1, s = s || 'x' where id between first and upto", self.rows, 100))


class Large(Workload):
    name, note = "W4", "one transaction"

    def fill(self):
        self.services.sql(f"insert into narrow select {ROW} from generate_series(1, {self.rows}) i")


class Single(Workload):
    name, note = "W5", "narrow inserts, one a transaction"

    def fill(self):
        self.services.sql(per_commit(f"insert into narrow select {ROW} from generate_series(first, upto) i", self.rows, 1))


class Snapshot(Workload):
    name, note, snapshot = "W6", "snapshot of a narrow table", "initial"

    def prepare(self):
        make_database(self.services)
        make_table(self.services, "narrow")
        self.services.sql(f"create publication {PUBLICATION} for table narrow")
        self.services.sql(f"insert into narrow select {ROW} from generate_series(1, {self.rows}) i")
        self.services.sql("vacuum (freeze, analyze) narrow")
        self.services.sql("checkpoint", "postgres")

    def clean(self):
        pass


class Backlog(Workload):
    """A backlog of 60 s at 5,000 events a second: of ten events six inserts, three updates, one delete."""

    name, note = "W8", "backlog of inserts, updates and deletes"

    def fill(self):
        statement = f"""insert into narrow select {ROW} from generate_series(first, upto) i;
            update narrow set k = k + 1 where id between first and first + 2;
            delete from narrow where id = upto"""
        self.services.sql(per_commit(statement, self.rows // 10 * 6, 6))

    def check(self, topic, figures):
        import topics

        images = {}
        for key, value, _ in topics.Topics(self.services.kafka).read([topic])[topic]:
            images[json.loads(key)["id"]] = json.loads(value)["after"]
        live = sorted((key, after["k"]) for key, after in images.items() if after is not None)
        found = self.services.sql("select count(*) || ' ' || coalesce(sum(id), 0) || ' ' || coalesce(sum(k), 0) from narrow")
        mine = f"{len(live)} {sum(key for key, _ in live)} {sum(k for _, k in live)}"
        if found != mine:
            raise BenchError(f"the topic's last images are not the table: {mine}, the table {found}")


class Latency:
    """Rows committed on a schedule of 5,000 a second; from the row's clock to the broker's append time, in milliseconds."""

    name, note = "latency", "5,000 events a second for 20 s"
    SECONDS, WARM_UP = 20, 5

    def __init__(self, services, scale):
        self.services, self.number = services, 0

    def prepare(self):
        make_database(self.services)
        self.services.sql(f"create table paced (id bigint primary key, at timestamptz); create publication {PUBLICATION} for table paced")

    def clean(self):
        pass

    def run(self, side, worker):
        import topics
        from confluent_kafka.admin import AdminClient, NewTopic

        self.number += 1
        name = f"peer_latency_{os.getpid()}_{self.number}"
        topic = f"{name}.public.paced"
        admin = AdminClient({"bootstrap.servers": self.services.kafka, "log_level": 0})
        for made in admin.create_topics([NewTopic(topic, 1, 1, config={"message.timestamp.type": "LogAppendTime"})]).values():
            made.result()
        self.services.sql("truncate paced")
        config = source_config(self.services, name, "paced", snapshot_mode="no_data")
        config.update(TUNED if side == "original, tuned" else {})
        rows = (self.SECONDS + self.WARM_UP) * 5000
        try:
            worker.post(name, config)
            wait_for_slot(self.services, worker, name)
            measured = Measured(self.services, worker)
            # Every 10 ms 50 rows, at the time that the schedule says, not when the last were done.
            self.services.sql(
                f"""do $$ declare start timestamptz := clock_timestamp(); begin for t in 0..{rows // 50 - 1} loop
                    perform pg_sleep(greatest(0, extract(epoch from start + t * interval '10 ms' - clock_timestamp())));
                    insert into paced select t * 50 + n, start + t * interval '10 ms' from generate_series(1, 50) n; commit;
                end loop; end $$"""
            )
            Watch(self.services.kafka, topic, rows).wait(worker)
            figures = measured.finish(rows)
        finally:
            worker.call("DELETE", f"/connectors/{name}")
            Streaming.drop_slot(self, name)
        delays = sorted(topics.delays(self.services.kafka, topic, "at")[self.WARM_UP * 5000 :])
        if len(delays) != self.SECONDS * 5000:
            raise BenchError(f"{len(delays)} of {self.SECONDS * 5000} records")
        for figure, share in (("p50_ms", 0.5), ("p99_ms", 0.99), ("p999_ms", 0.999)):
            figures[figure] = delays[int(len(delays) * share)]
        return figures


class StartUp:
    """From exec to the first event of a connector that is known and has a row waiting."""

    name, note = "start-up", "connector known, a row waiting"

    def __init__(self, services, scale):
        self.services, self.known, self.rows = services, {}, {}

    def prepare(self):
        make_database(self.services)
        make_table(self.services, "narrow")
        self.services.sql(f"create publication {PUBLICATION} for table narrow")

    def clean(self):
        for name in self.known.values():
            Streaming.drop_slot(self, name)

    def run(self, side, worker):
        if side not in self.known:
            self.introduce(side, worker)
        name = self.known[side]
        worker.stop()
        self.insert()
        watch = Watch(self.services.kafka, f"{name}.public.narrow", self.count(name), every_ms=2)
        time.sleep(0.5)
        worker.start(answering=False)
        figures = {"rest_s": worker.wait_until_answering()}
        figures["first_event_s"] = watch.wait(worker)["all"] - worker.started
        figures["rss_mb"] = Measured(self.services, worker).finish(1)["rss_mb"]
        return figures

    def introduce(self, side, worker):
        name = f"peer_start_{os.getpid()}_{len(self.known)}"
        worker.post(name, source_config(self.services, name, "narrow", snapshot_mode="no_data"))
        wait_for_slot(self.services, worker, name)
        self.known[side] = name
        self.rows[name] = self.services.sql("select count(*) from narrow")

    def insert(self):
        self.services.sql(f"insert into narrow select {ROW} from (select coalesce(max(id), 0) + 1 as i from narrow) x")

    def count(self, name):
        return int(self.services.sql("select count(*) from narrow")) - int(self.rows[name])


def wait_for_slot(services, worker, name, timeout=60):
    deadline = time.monotonic() + timeout
    while not services.sql(f"select 1 from pg_replication_slots where slot_name = '{name}' and active and confirmed_flush_lsn is not null", "postgres"):
        worker.check()
        if time.monotonic() > deadline:
            raise BenchError(f"{name} does not stream" + worker.log_tail())
        time.sleep(0.1)


def ratio(original, ours):
    """The ratio of medians."""
    return statistics.median(original) / statistics.median(ours) if original and ours and statistics.median(ours) else None


WORKLOADS = [Narrow, Wide, Updates, Large, Single, Snapshot, Backlog, Latency, StartUp]
