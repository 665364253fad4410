"""Whole topics, and what differs between two of them."""

import difflib
import io
import json
import re
import struct
from datetime import datetime

import fastavro
from confluent_kafka import Consumer, TopicPartition
from confluent_kafka.admin import AdminClient

# What has to differ, in the text of a record: the time when it was made.
MADE_AT = re.compile(rb'("op":"\w"),"ts_ms":\d+(,"ts_us":\d+,"ts_ns":\d+)?')
MADE_AT_2 = re.compile(rb'("op":"\w"),"ts_ms":\d+,"transaction"')
VERSION_2 = re.compile(rb'"version":"2\.3\.\d+\.Final"')
# Two snapshots are taken one after the other: time, transaction and position are their own.
SNAPSHOT_AT = [
    (re.compile(rb'"__(source_ts_ms|lsn)":\d+'), rb'"__\1":0'),
    (re.compile(rb'"ts_ms":\d+,"snapshot"'), b'"ts_ms":0,"snapshot"'),
    (re.compile(rb'"sequence":"[^,]*,[^,]*",'), b'"sequence":"",'),
    (re.compile(rb'"ts_us":\d+,"ts_ns":\d+,"schema"'), b'"ts_us":0,"ts_ns":0,"schema"'),
    (re.compile(rb'"txId":\d+,"lsn":\d+'), b'"txId":0,"lsn":0'),
]

RUN = "__debezium.context.runId"


class Topics:
    """A reader of everything that a cluster has."""

    def __init__(self, kafka):
        self.admin = AdminClient({"bootstrap.servers": kafka, "log_level": 0})
        self.consumer = Consumer(
            {"bootstrap.servers": kafka, "log_level": 0, "group.id": "peer-reader", "enable.auto.commit": False, "allow.auto.create.topics": False}
        )

    def delete(self, prefixes):
        names = [name for prefix in prefixes for name in self.names(prefix)]
        for done in self.admin.delete_topics(names).values() if names else ():
            done.result()

    def names(self, prefix):
        return sorted(name for name in self.consumer.list_topics(timeout=20).topics if name.startswith(prefix))

    def ends(self, names):
        """The end offset of every partition."""
        known = self.consumer.list_topics(timeout=20).topics
        found = {}
        for name in names:
            for partition in known[name].partitions if name in known else ():
                low, high = self.consumer.get_watermark_offsets(TopicPartition(name, partition), timeout=20)
                found[name, partition] = (low, high)
        return found

    def count(self, name):
        return sum(high - low for low, high in self.ends([name]).values())

    def read(self, names):
        """All records: {topic: [(key, value, headers)]}, by partition and offset."""
        ends = {at: span for at, span in self.ends(names).items() if span[1] > span[0]}
        records = {name: [] for name in names}
        missing = dict(ends)
        self.consumer.assign([TopicPartition(*at, low) for at, (low, _) in ends.items()])
        idle = 0
        while missing and idle < 10:
            batch = self.consumer.consume(5000, timeout=3)
            idle = 0 if batch else idle + 1
            for message in batch:
                if message.error():
                    raise RuntimeError(message.error().str())
                at = message.topic(), message.partition()
                records[at[0]].append((message.partition(), message.offset(), message.key(), message.value(), message.headers() or []))
                if at in missing and message.offset() >= missing[at][1] - 1:
                    del missing[at]
        self.consumer.unassign()
        if missing:
            raise RuntimeError(f"could not read to the end of {sorted(missing)}")
        return {name: [record[2:] for record in sorted(found, key=lambda r: r[:2])] for name, found in records.items()}


class Avro:
    """Reads what the Avro converter wrote as the JSON that the JSON converter would have: schema and payload.

    Under one schema equal values have equal bytes, and what has to differ is taken out of a text.
    """

    def __init__(self, registry):
        self.registry = registry
        self.schemas = {}

    def as_json(self, record):
        key, value, headers = record
        return self.text(key), self.text(value), headers

    def text(self, content):
        if content is None:
            return None
        magic, identity = struct.unpack(">bI", content[:5])
        if magic != 0:
            raise RuntimeError(f"not the form of the registry: {content[:20]!r}")
        if identity not in self.schemas:
            text = self.registry.schema(identity)
            self.schemas[identity] = json.loads(text), fastavro.parse_schema(without_logical_types(json.loads(text)))
        schema, parsed = self.schemas[identity]
        source = io.BytesIO(content[5:])
        payload = fastavro.schemaless_reader(source, parsed, None)
        if rest := source.read():
            raise RuntimeError(f"{len(rest)} bytes after the record of schema {identity}")
        whole = {"schema": schema, "payload": payload}
        return json.dumps(whole, separators=(",", ":"), ensure_ascii=False, default=plain).encode()


def without_logical_types(schema):
    """The schema for reading what is there: 24:00:00, say, is no time of Python's."""
    if isinstance(schema, dict):
        return {name: without_logical_types(member) for name, member in schema.items() if name != "logicalType"}
    return [without_logical_types(member) for member in schema] if isinstance(schema, list) else schema


def plain(value):
    """Bytes as text."""
    return value.hex() if isinstance(value, bytes) else str(value)


def delays(kafka, topic, field):
    """Milliseconds from the time in a field of the new row to the record's own, which is the broker's."""
    reader = Topics(kafka)
    low, high = reader.ends([topic])[topic, 0]
    reader.consumer.assign([TopicPartition(topic, 0, low)])
    found = []
    while len(found) < high - low:
        batch = reader.consumer.consume(5000, timeout=10)
        if not batch:
            raise RuntimeError(f"{topic} ends early")
        for message in batch:
            at = datetime.fromisoformat(json.loads(message.value())["after"][field])
            found.append(message.timestamp()[1] - at.timestamp() * 1000)
    reader.consumer.close()
    return found


def normalized(record, theirs, ours):
    """The record's bytes without what has to differ, under our topic prefix."""

    def same(text):
        if text is None:
            return None
        text = text.replace(theirs, ours)
        # Of a generation: the last release for ours, what the registry has for the original.
        text = VERSION_2.sub(b'"version":"2.3.Final"', text)
        snapshot = b'"op":"r"' in text or b'"__op":"r"' in text
        text = MADE_AT_2.sub(rb'\1,"ts_ms":0,"transaction"', text)
        text = MADE_AT.sub(rb"\1,ts", text) if not text.count(b'"ts_ms":0,"transaction"') else text
        if snapshot:
            for pattern, to in SNAPSHOT_AT:
                text = pattern.sub(to, text)
        return text

    key, value, headers = record
    # The run has a random name.
    return same(key), same(value), tuple((name, b"" if name == RUN else same(content)) for name, content in headers)


def differences(ours, theirs):
    """Where two lists of normalized records differ: [(part, path, ours, theirs)], and the number of equal records."""
    if len(ours) == len(theirs):
        pairs = list(zip(ours, theirs))
        extra = []
    else:
        pairs, extra = align(ours, theirs)
    found = []
    equal = 0
    for mine, other in pairs:
        if mine == other:
            equal += 1
            continue
        for part, a, b in zip(("key", "value"), mine, other):
            if a != b:
                found += [(part, *difference) for difference in of_texts(a, b)]
        found += [("header", *difference) for difference in of_headers(mine[2], other[2])]
    return found + extra, equal


def align(ours, theirs):
    """Pairs of records that belong together, and those without a partner."""

    def kind(record):
        op = re.search(rb'"op":"(\w)"', record[1] or b"")
        return record[0], record[1] is None, op and op.group()

    matcher = difflib.SequenceMatcher(None, [kind(r) for r in ours], [kind(r) for r in theirs], autojunk=False)
    pairs, extra = [], []
    for tag, a, b, c, d in matcher.get_opcodes():
        if tag == "equal":
            pairs += zip(ours[a:b], theirs[c:d])
        else:
            extra += [("record", "only ours", brief(record), "(absent)") for record in ours[a:b]]
            extra += [("record", "only the original", "(absent)", brief(record)) for record in theirs[c:d]]
    return pairs, extra


def brief(record):
    """A record without its schemas."""

    def payload(content):
        try:
            whole = json.loads(content.replace(b",ts,", b",").replace(b",ts}", b"}"))
        except (AttributeError, ValueError):
            return text(content)
        return json.dumps(whole["payload"] if "payload" in whole else whole, ensure_ascii=False)

    return f"{payload(record[0])} {payload(record[1])}"


def of_texts(a, b):
    try:
        mine, other = (None if t is None else json.loads(t.replace(b",ts,", b",").replace(b",ts}", b"}"), parse_float=str) for t in (a, b))
    except ValueError:
        return [("", text(a), text(b))]
    found = list(of_json(mine, other, ""))
    return found or [("(bytes)", *around(a, b))]


def of_headers(ours, theirs):
    mine, other = dict(ours), dict(theirs)
    for name in [*mine, *(name for name in other if name not in mine)]:
        a, b = mine.get(name, ABSENT), other.get(name, ABSENT)
        if a != b:
            yield name, header_text(a), header_text(b)
    if ours != theirs and mine == other:
        yield "(order)", header_text(str(ours)), header_text(str(theirs))


def header_text(value):
    return "(absent)" if value is ABSENT else text(value)


def around(a, b):
    """The texts from shortly before the first byte that differs."""
    at = next((i for i, (x, y) in enumerate(zip(a, b)) if x != y), min(len(a), len(b)))
    return text(a[max(0, at - 40) : at + 60]), text(b[max(0, at - 40) : at + 60])


def of_json(a, b, path):
    """Differences of two JSON values. Fields of a schema go by their names."""
    if isinstance(a, dict) and isinstance(b, dict):
        if list(a) != list(b) and sorted(a) == sorted(b):
            yield path, "members in order " + ",".join(a), ",".join(b)
        for name in [*a, *(name for name in b if name not in a)]:
            yield from of_json(a.get(name, ABSENT), b.get(name, ABSENT), f"{path}.{name}" if path else name)
    elif isinstance(a, list) and isinstance(b, list) and len(a) == len(b) and "union" in (kinds(a), kinds(b)):
        for mine, other in zip(a, b):
            yield from of_json(mine, other, path)
    elif fields(a) and fields(b):
        mine, other = fields(a), fields(b)
        if list(mine) != list(other) and sorted(mine) == sorted(other):
            yield path, "fields in order " + ",".join(mine), ",".join(other)
        for name in [*mine, *(name for name in other if name not in mine)]:
            yield from of_json(mine.get(name, ABSENT), other.get(name, ABSENT), f"{path}[{name}]")
    elif a is ABSENT or b is ABSENT or a != b or type(a) is not type(b):
        yield path, json_text(a), json_text(b)


def kinds(value):
    """A union of Avro's has texts and schemas side by side."""
    return "union" if {type(item) for item in value} == {str, dict} else None


class Absent:
    """A member that one side does not have."""


ABSENT = Absent()


def fields(value):
    """The fields of a schema of JsonConverter's or of Avro's by their names, or None."""
    for name in ("field", "name"):
        if isinstance(value, list) and value and all(isinstance(item, dict) and name in item for item in value):
            return {item[name]: item for item in value}
    return None


def json_text(value):
    return "(absent)" if value is ABSENT else json.dumps(value, ensure_ascii=False)


def text(value):
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)
