"""Records: the same workload through ours and Debezium, two slots on one database, compared as bytes.

What has to differ is taken out first: the topic prefix, when a record was made, and time, transaction and position of a
snapshot, of which each connector takes its own.
"""

import os
import re
import subprocess
import time

import on_purpose
import topics
from originals import HERE, Original, Ours, Registry
from stack import BenchError

DATABASE = "peer"
OURS, THEIRS = "oursq_", "origq_"
JSON = "org.apache.kafka.connect.json.JsonConverter"
AVRO = "io.confluent.connect.avro.AvroConverter"
UNWRAP = {"transforms": "unwrap", "transforms.unwrap.type": "io.debezium.transforms.ExtractNewRecordState"}

# Name of a configuration: generation of Debezium, and what it sets.
VARIANTS = {
    "default": (3, {}),
    "text": (
        3,
        {
            "decimal.handling.mode": "string",
            "time.precision.mode": "connect",
            "hstore.handling.mode": "map",
            "binary.handling.mode": "hex",
            "interval.handling.mode": "string",
            "include.unknown.datatypes": "true",
            "money.fraction.digits": "3",
            "skipped.operations": "none",
        },
    ),
    "double": (
        3,
        {
            "decimal.handling.mode": "double",
            "time.precision.mode": "isostring",
            "binary.handling.mode": "base64",
            "provide.transaction.metadata": "true",
            "tombstones.on.delete": "false",
            "value.converter.schemas.enable": "false",
            "key.converter.schemas.enable": "false",
            "extended.headers.enabled": "false",
        },
    ),
    "nanos": (
        3,
        {
            "time.precision.mode": "nanoseconds",
            "binary.handling.mode": "base64-url-safe",
            "message.key.columns": "peer.no_key:x,y;peer.numbers:c_int",
            "column.exclude.list": "peer.texts.c_xml,peer.times.c_ts.*",
            "column.mask.with.6.chars": "peer.texts.c_text",
            "column.truncate.to.4.chars": "peer.texts.c_varchar,peer.bulk.s",
            "column.propagate.source.type": "peer.(numbers|texts|times)\\..*",
            "schema.name.adjustment.mode": "avro",
            "field.name.adjustment.mode": "avro",
            "unavailable.value.placeholder": "hex:4142",
            "skip.messages.without.change": "true",
            # In this mode the original cannot fill in the columns of a deleted row.
            "table.exclude.list": "peer.required",
        },
    ),
    "masked": (3, {"table.include.list": "peer.(full_identity|zz_marker)", "column.mask.hash.SHA-256.with.salt.salt": "peer.full_identity.a"}),
    "microseconds": (
        3,
        {
            "time.precision.mode": "microseconds",
            "publish.via.partition.root": "true",
            "publication.autocreate.mode": "filtered",
            "publication.name": "{prefix}",
            "table.include.list": "peer.parted.*,peer.bulk,peer.zz_marker,peer.times",
            "value.converter.replace.null.with.default": "false",
            "value.converter.decimal.format": "NUMERIC",
        },
    ),
    "unwrap": (3, {**UNWRAP, "transforms.unwrap.delete.tombstone.handling.mode": "rewrite",
                   "transforms.unwrap.add.fields": "op,table,lsn,source.ts_ms,db", "transforms.unwrap.add.headers": "op,source.lsn"}),
    "avro": (
        3,
        {
            "key.converter": AVRO,
            "value.converter": AVRO,
            "key.converter.schema.registry.url": "{registry}",
            "value.converter.schema.registry.url": "{registry}",
            "schema.name.adjustment.mode": "avro",
            "field.name.adjustment.mode": "avro",
        },
    ),
    "avro-unwrap": (
        3,
        {
            **UNWRAP,
            # Without any option ours drops deletes, as up to 3.1.
            "transforms.unwrap.delete.tombstone.handling.mode": "tombstone",
            "key.converter": AVRO,
            "value.converter": AVRO,
            "key.converter.schema.registry.url": "{registry}",
            "value.converter.schema.registry.url": "{registry}",
            "value.converter.enhanced.avro.schema.support": "true",
            "schema.name.adjustment.mode": "avro",
            "field.name.adjustment.mode": "avro",
            "time.precision.mode": "connect",
            "decimal.handling.mode": "string",
        },
    ),
    "generation-2": (2, {}),
    "generation-2-unwrap": (
        2,
        {**UNWRAP, "transforms.unwrap.drop.tombstones": "true", "transforms.unwrap.delete.handling.mode": "rewrite",
         "decimal.handling.mode": "string", "time.precision.mode": "connect",
         # 2.3 fails at the deletion of a row with a required money.
         "table.exclude.list": "peer.required"},
    ),
}


class Side:
    """One connector of a comparison."""

    def __init__(self, worker, services, variant, prefix, settings, registry):
        self.worker, self.variant = worker, variant
        self.prefix = prefix + variant.replace("-", "_")
        host, port = services.postgres.split(":")
        self.config = {
            "connector.class": "io.debezium.connector.postgresql.PostgresConnector",
            "plugin.name": "pgoutput",
            "database.hostname": host,
            "database.port": port,
            "database.user": "postgres",
            "database.password": "postgres",
            "database.dbname": DATABASE,
            "topic.prefix": self.prefix,
            "slot.name": self.prefix,
            "publication.name": "peer_publication",
            "publication.autocreate.mode": "all_tables",
            "schema.include.list": "peer",
            "key.converter": JSON,
            "value.converter": JSON,
        }
        places = {"{prefix}": self.prefix, "{registry}": registry and registry.url}
        for key, value in settings.items():
            for place, stands_for in places.items():
                value = value.replace(place, stands_for) if place in value else value
            self.config[key] = value
        if "table.include.list" in self.config:
            del self.config["schema.include.list"]

    def marker(self):
        return f"{self.prefix}.peer.zz_marker"

    def failure(self):
        """The first line of a failed task's trace."""
        status = self.worker.call("GET", f"/connectors/{self.variant}/status")
        for part in [status["connector"], *status["tasks"]]:
            if part["state"] == "FAILED":
                # What and why, without the stack.
                lines = [line for line in part.get("trace", "FAILED").splitlines() if not line.startswith("\t")]
                return " | ".join(lines)
        return None


def run(services):
    wanted = [name for name in os.environ.get("PEER_VARIANTS", "").split(",") if name] or list(VARIANTS)
    services.sql(f"drop database if exists {DATABASE} with (force)", "postgres")
    services.sql(f"create database {DATABASE}", "postgres")
    psql(services, (HERE / "sql/snapshot.sql").read_text())
    workers = {"ours": Ours(services)}
    workers["ours"].forget()
    registry = Registry(services) if any("{registry}" in str(VARIANTS[name][1]) for name in wanted) else None
    for generation in sorted({VARIANTS[name][0] for name in wanted}):
        plugins = [f"debezium-{generation}", *(["avro"] if registry and generation == 3 else [])]
        workers[generation] = Original(services, plugins, f"debezium-{generation}")
        # Offsets are looked at when all is done.
        workers[generation].settings["offset.flush.interval.ms"] = "1000"
    try:
        for worker in workers.values():
            worker.start(answering=False)
        if registry:
            registry.start()
        for worker in workers.values():
            worker.wait_until_answering()
        return compare(services, workers, wanted, registry)
    finally:
        for worker in workers.values():
            worker.stop()
        if registry:
            registry.stop()
        drop_slots(services)


def compare(services, workers, wanted, registry):
    reader = topics.Topics(services.kafka)
    avro = topics.Avro(registry) if registry else None
    # Of an earlier run, when the servers were left running.
    reader.delete([OURS, THEIRS])
    pairs = []
    for name in wanted:
        generation, settings = VARIANTS[name]
        of_ours = dict(settings, **({"debezium.compatibility": "2.3"} if generation == 2 else {}))
        pair = (
            Side(workers["ours"], services, name, OURS, of_ours, registry),
            Side(workers[generation], services, name, THEIRS, settings, registry),
        )
        for side in pair:
            side.worker.post(name, side.config)
        pairs.append(pair)
    failures = {}
    markers = 1
    wait(services, reader, pairs, markers, failures, until_active=True)
    for step in (HERE / "sql/stream.sql").read_text().split("--@wait\n"):
        markers += 1
        psql(services, step + f"\ninsert into zz_marker values ({markers}, 'step');")
        wait(services, reader, pairs, markers, failures)
    time.sleep(3)
    count = 0
    for pair in pairs:
        count += report(reader, pair, failures, avro if AVRO in settings_of(pair) else None)
    return count


def wait(services, reader, pairs, markers, failures, until_active=False, timeout=240):
    """Until every connector that has not failed has so many markers in its topic."""
    deadline = time.monotonic() + timeout
    for pair in pairs:
        for side in pair:
            while side.prefix not in failures and reader.count(side.marker()) < markers:
                if failure := side.failure():
                    failures[side.prefix] = failure
                elif time.monotonic() > deadline:
                    failures[side.prefix] = f"marker {markers} did not arrive in {timeout} s"
                time.sleep(0.1)
            while until_active and side.prefix not in failures:
                if services.sql(f"select active and confirmed_flush_lsn is not null from pg_replication_slots where slot_name = '{side.prefix}'", "postgres") == "t":
                    break
                if time.monotonic() > deadline:
                    failures[side.prefix] = "it does not stream"
                time.sleep(0.1)


def settings_of(pair):
    return pair[0].config.values()


def report(reader, pair, failures, avro):
    ours, theirs = pair
    print(f"\n--- {ours.variant}: {', '.join(f'{k}={v}' for k, v in ours.config.items() if k in VARIANTS[ours.variant][1]) or 'defaults'}")
    count = 0
    for who, side in zip(("ours", "original"), pair):
        if side.prefix in failures:
            print(f"    {who} FAILED: {failures[side.prefix]}")
            count += 1
    found = [
        {name.removeprefix(side.prefix): records for name, records in reader.read(reader.names(side.prefix + ".")).items()}
        for side in pair
    ]
    if avro:
        found = [{name: [avro.as_json(record) for record in records] for name, records in side.items()} for side in found]
    to = ours.prefix.encode()
    total = equal_total = 0
    rows = {}
    for name in sorted({*found[0], *found[1]}):
        mine, other = ([topics.normalized(r, theirs.prefix.encode(), to) for r in side.get(name, [])] for side in found)
        differences, equal = topics.differences(mine, other)
        total += max(len(mine), len(other))
        equal_total += equal
        for part, path, a, b in differences:
            add(rows, name, f"{part} {path}", a, b)
    add_offsets(rows, ours, theirs)
    meant = {}
    for (topic, path), row in list(rows.items()):
        if why := on_purpose.reason(row["topics"][0], path, ours.variant):
            meant.setdefault(why, []).append(f"{path.strip()} x{row['count']}")
            del rows[topic, path]
    print(f"    {equal_total} of {total} records equal as bytes, {len(rows)} kinds of difference, and {len(meant)} on purpose:")
    for why, paths in meant.items():
        print(f"    on purpose: {why}: {', '.join(paths)}")
    for (_, path), row in rows.items():
        print(f"    {path}  x{row['count']} in {some(row['topics'])}\n        ours:     {cut(row['ours'])}\n        original: {cut(row['original'])}")
    return count + len(rows)


def add(rows, name, path, a, b):
    """Differences of the same kind are one row: the same part of records of one table, or of any if the values are the same."""
    # The schema says the same of the row before and after, and of a row by itself.
    path = re.sub(r"schema\.fields\[(before|after)\]", "schema row", path)
    path = re.sub(r"payload\.(before|after)\.", "row ", path)
    path = re.sub(r"^value (before|after)\.", "value row ", path)
    everywhere = path.startswith(("header", "value payload.source", "value payload.transaction", "value transaction", "value source", "value schema.fields[source]"))
    row = rows.setdefault(("" if everywhere else name, path), {"count": 0, "topics": [], "ours": a, "original": b})
    row["count"] += 1
    if name not in row["topics"]:
        row["topics"].append(name)


def some(names):
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def add_offsets(rows, ours, theirs):
    """The stored offsets: same members, same place."""
    mine, other = (side.worker.call("GET", f"/connectors/{side.variant}/offsets") for side in (ours, theirs))
    a, b = (str(found).replace(theirs.prefix, ours.prefix) for found in (mine, other))
    # The time is that of the message, which may be one that only keeps the connection alive.
    a, b = (re.sub(r"'ts_usec': \d+", "'ts_usec': 0", text) for text in (a, b))
    if a != b:
        add(rows, "GET /offsets", "", a, b)


def psql(services, text):
    url = f"postgres://postgres@{services.postgres}/{DATABASE}?options=-csearch_path%3Dpeer,public"
    done = subprocess.run(["psql", "-qX", "-v", "ON_ERROR_STOP=1", "-d", url, "-f", "-"], input=text, capture_output=True, text=True, timeout=300)
    if done.returncode != 0:
        raise BenchError(f"the workload: {done.stderr.strip()}")


def drop_slots(services):
    for _ in range(100):
        left = services.sql(f"select string_agg(slot_name, ' ') from pg_replication_slots where database = '{DATABASE}' and active", "postgres")
        if left is None:
            break
        time.sleep(0.1)
    services.sql(f"select pg_drop_replication_slot(slot_name) from pg_replication_slots where database = '{DATABASE}'", "postgres")


def cut(value, most=240):
    text = str(value)
    return text if len(text) <= most else text[:most] + "..."
