"""Offsets: what one worker has stored the other goes on with, both ways, on one slot and one set of topics."""

import json
import time

import topics
from originals import Original, Ours
from stack import BenchError

DATABASE = "peer_offsets"
ROWS = 50


def run(services):
    services.sql(f"drop database if exists {DATABASE} with (force)", "postgres")
    services.sql(f"create database {DATABASE}", "postgres")
    workers = {"ours": Ours(services, "offsets"), "original": Original(services, ["debezium-3"], "offsets-original")}
    workers["ours"].forget()
    workers["original"].settings["offset.flush.interval.ms"] = "500"
    try:
        for worker in workers.values():
            worker.start(answering=False)
        for worker in workers.values():
            worker.wait_until_answering()
        return sum(hand_over(services, workers, *names) for names in (("ours", "original"), ("original", "ours")))
    finally:
        for worker in workers.values():
            worker.stop()
        drop_slots(services)


def hand_over(services, workers, first, second):
    name = f"peer_{first}_to_{second}"
    reader = topics.Topics(services.kafka)
    reader.delete([name])
    services.sql(f"create table {name} (id integer primary key, v text)", DATABASE)
    insert(services, name, 1)
    config = configuration(services, name)
    topic = f"{name}.public.{name}"
    workers[first].post(name, config)
    wait(workers[first], reader, topic, ROWS)
    insert(services, name, 2)
    wait(workers[first], reader, topic, 2 * ROWS)
    offsets = settled(workers[first], name)
    workers[first].call("DELETE", f"/connectors/{name}")
    insert(services, name, 3)
    workers[second].call("POST", "/connectors", {"name": name, "config": config, "initial_state": "STOPPED"})
    workers[second].call("PATCH", f"/connectors/{name}/offsets", {"offsets": offsets})
    workers[second].call("PUT", f"/connectors/{name}/resume")
    problem = None
    try:
        wait(workers[second], reader, topic, 3 * ROWS)
        time.sleep(2)
    except BenchError as error:
        problem = str(error)
    ids = [key_of(record) for record in reader.read([topic])[topic]]
    missing = sorted(set(range(1, 3 * ROWS + 1)) - set(ids))
    repeated = len(ids) - len(set(ids))
    stored = settled(workers[second], name)
    workers[second].call("DELETE", f"/connectors/{name}")
    members = [sorted(entry["offset"]) for entry in (offsets + stored)]
    print(f"    {first} to {second}: {len(ids)} records of {3 * ROWS} rows, {len(missing)} missing, {repeated} twice")
    if second == "ours" and repeated == 1:
        print("        on purpose: the row at the stored position comes again, for COPY writes several rows at one position")
        repeated = 0
    print(f"        offset of {first}: {json.dumps(offsets)}\n        offset of {second}: {json.dumps(stored)}")
    if problem:
        print(f"        {problem.splitlines()[0]}")
    if len({tuple(names) for names in members}) > 1:
        print("        the members differ")
    return int(bool(problem or missing or repeated))


def settled(worker, name):
    """The offsets, when they no longer change."""
    last = None
    for _ in range(30):
        found = worker.call("GET", f"/connectors/{name}/offsets")["offsets"]
        if found and found == last:
            return found
        last = found
        time.sleep(1.2)
    raise BenchError(f"the offsets of {name} do not settle: {last}")


def wait(worker, reader, topic, count, timeout=60):
    deadline = time.monotonic() + timeout
    while reader.count(topic) < count:
        worker.check()
        if time.monotonic() > deadline:
            raise BenchError(f"{topic} has {reader.count(topic)} of {count} records after {timeout} s")
        time.sleep(0.1)


def insert(services, table, part):
    first, last = (part - 1) * ROWS + 1, part * ROWS
    services.sql(f"insert into {table} select i, 'v' || i from generate_series({first}, {last}) i", DATABASE)


def key_of(record):
    return json.loads(record[0])["id"]


def configuration(services, name):
    host, port = services.postgres.split(":")
    return {
        "connector.class": "io.debezium.connector.postgresql.PostgresConnector",
        "plugin.name": "pgoutput",
        "database.hostname": host,
        "database.port": port,
        "database.user": "postgres",
        "database.password": "postgres",
        "database.dbname": DATABASE,
        "topic.prefix": name,
        "slot.name": name,
        "publication.name": name,
        "publication.autocreate.mode": "filtered",
        "table.include.list": f"public.{name}",
        "key.converter": "org.apache.kafka.connect.json.JsonConverter",
        "key.converter.schemas.enable": "false",
        "value.converter": "org.apache.kafka.connect.json.JsonConverter",
        "value.converter.schemas.enable": "false",
    }


def drop_slots(services):
    where = f"from pg_replication_slots where database = '{DATABASE}'"
    for _ in range(100):
        if services.sql(f"select 1 {where} and active limit 1", "postgres") is None:
            break
        time.sleep(0.1)
    services.sql(f"select pg_drop_replication_slot(slot_name) {where}", "postgres")
