"""What readers that nobody here wrote find in the sink's objects: pyarrow and DuckDB in Parquet, fastavro in Avro, the
standard library in JSON and bytes. Every type of the type table with its edges, every codec; schemas and values are compared
with what was put in."""

import base64
import datetime as dt
import decimal
import gzip
import json
import math
import os
import time
import urllib.request
import uuid
from pathlib import Path

import duckdb
import fastavro
import pyarrow.parquet as pq
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic
from surface import URL, eventually

FORMATS = "io.confluent.connect.s3.format"
S3_DIR = Path(os.environ["FERROCONNECT_TEST_S3_DIR"])
KAFKA = os.environ["FERROCONNECT_TEST_KAFKA"]
JSON_CONVERTER = "org.apache.kafka.connect.json.JsonConverter"
RUN = uuid.uuid4().hex[:8]
TOPIC = f"readers_{RUN}"
UTC = dt.timezone.utc
EPOCH = dt.datetime(1970, 1, 1, tzinfo=UTC)

CONNECT = "org.apache.kafka.connect.data"
DECIMAL = {"type": "bytes", "name": f"{CONNECT}.Decimal", "version": 1, "parameters": {"scale": "2", "connect.decimal.precision": "10"}}
WIDE = {"type": "bytes", "name": f"{CONNECT}.Decimal", "version": 1, "parameters": {"scale": "3"}}
POINT = {"type": "struct", "name": "readers.Point", "fields": [{"field": "x", "type": "double"}, {"field": "tag", "type": "string", "optional": True}]}


def unscaled(value, scale):
    number = int(decimal.Decimal(value).scaleb(scale))
    length = max(1, (number.bit_length() + 8) // 8)
    raw = number.to_bytes(length, "big", signed=True)
    # The fewest bytes that hold it.
    while len(raw) > 1 and ((raw[0] == 0 and raw[1] < 128) or (raw[0] == 255 and raw[1] >= 128)):
        raw = raw[1:]
    return base64.b64encode(raw).decode()


# name, Connect schema, payloads as JSON, values as a reader gives them, DuckDB's type
def column(name, schema, payloads, values, duck):
    return {"name": name, "schema": schema, "payloads": payloads, "values": values, "duck": duck}


def plain(name, ty, values, duck):
    return column(name, {"type": ty}, values, values, duck)


days, millis = 20_000, 1_700_000_000_123
COLUMNS = [
    plain("i8", "int8", [-128, 0, 127], "INTEGER"),
    plain("i16", "int16", [-32768, 0, 32767], "INTEGER"),
    plain("i32", "int32", [-(2**31), 0, 2**31 - 1], "INTEGER"),
    plain("i64", "int64", [-(2**63), 0, 2**63 - 1], "BIGINT"),
    plain("f32", "float", [-1.5, 0.0, 0.25], "FLOAT"),
    plain("f64", "double", [-1e300, 0.1, 5e-324], "DOUBLE"),
    plain("flag", "boolean", [True, False, True], "BOOLEAN"),
    plain("text", "string", ["", "naïve ☃ \U0001f600", 'quote " \\ \n tab\t'], "VARCHAR"),
    column("raw", {"type": "bytes"}, ["", "AP8=", "YWI="], [b"", b"\x00\xff", b"ab"], "BLOB"),
    column("maybe", {"type": "int32", "optional": True}, [None, 7, None], [None, 7, None], "INTEGER"),
    column("word", {"type": "string", "optional": True}, ["a", None, ""], ["a", None, ""], "VARCHAR"),
    column(
        *("price", DECIMAL, [unscaled(v, 2) for v in ("-12.34", "0", "99999999.99")]),
        *([decimal.Decimal(v) for v in ("-12.34", "0.00", "99999999.99")], "DECIMAL(10,2)"),
    ),
    column(
        *("wide", WIDE, [unscaled(v, 3) for v in ("-1", "0.001", "123456789012345678.9")]),
        *([decimal.Decimal(v) for v in ("-1.000", "0.001", "123456789012345678.900")], "DOUBLE"),
    ),
    column(
        *("day", {"type": "int32", "name": f"{CONNECT}.Date", "version": 1}, [-1, 0, days]),
        *([dt.date(1969, 12, 31), dt.date(1970, 1, 1), dt.date(1970, 1, 1) + dt.timedelta(days)], "DATE"),
    ),
    column(
        *("clock", {"type": "int32", "name": f"{CONNECT}.Time", "version": 1}, [0, 1, 86_399_999]),
        *([dt.time(0), dt.time(0, 0, 0, 1000), dt.time(23, 59, 59, 999000)], "TIME WITH TIME ZONE"),
    ),
    column(
        *("moment", {"type": "int64", "name": f"{CONNECT}.Timestamp", "version": 1}, [-1, 0, millis]),
        *([EPOCH + dt.timedelta(milliseconds=m) for m in (-1, 0, millis)], "TIMESTAMP WITH TIME ZONE"),
    ),
    column(
        *("micros", {"type": "int64", "name": "io.debezium.time.MicroTimestamp", "version": 1}, [-1, 0, millis * 1000]),
        *([-1, 0, millis * 1000], "BIGINT"),
    ),
    column(
        *("zoned", {"type": "string", "name": "io.debezium.time.ZonedTimestamp", "version": 1}, ["2026-01-01T00:00:00Z"] * 3),
        *(["2026-01-01T00:00:00Z"] * 3, "VARCHAR"),
    ),
    column(
        *("words", {"type": "array", "items": {"type": "string", "optional": True}, "optional": True}, [["a", None], [], None]),
        *([["a", None], [], None], "VARCHAR[]"),
    ),
    column("numbers", {"type": "array", "items": {"type": "int64"}}, [[1, 2], [], [3]], [[1, 2], [], [3]], "BIGINT[]"),
    column(
        *("named", {"type": "map", "keys": {"type": "string"}, "values": {"type": "int32"}}, [{"a": 1, "b": -2}, {}, {"z": 0}]),
        *([{"a": 1, "b": -2}, {}, {"z": 0}], "MAP(VARCHAR, INTEGER)"),
    ),
    column(
        *("point", dict(POINT, optional=True), [{"x": 1.5, "tag": None}, None, {"x": 0.0, "tag": "t"}]),
        *([{"x": 1.5, "tag": None}, None, {"x": 0.0, "tag": "t"}], "STRUCT(x DOUBLE, tag VARCHAR)"),
    ),
]
SCHEMA = {"type": "struct", "name": "readers.Value", "fields": [dict(c["schema"], field=c["name"]) for c in COLUMNS]}


def call(method, path, body=None):
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(URL + path, data, {"Content-Type": "application/json"}, method=method)
    with urllib.request.urlopen(request, timeout=30) as reply:
        text = reply.read()
    return json.loads(text) if text else None


def produce():
    admin = AdminClient({"bootstrap.servers": KAFKA})
    admin.create_topics([NewTopic(TOPIC, 1, 1)])[TOPIC].result(30)
    producer = Producer({"bootstrap.servers": KAFKA})
    for row in range(3):
        payload = {c["name"]: c["payloads"][row] for c in COLUMNS}
        value = json.dumps({"schema": SCHEMA, "payload": payload})
        producer.produce(TOPIC, value=value, key=json.dumps({"schema": {"type": "string"}, "payload": f"k{row}"}), partition=0)
    producer.flush(30)


def expected(row):
    return {c["name"]: c["values"][row] for c in COLUMNS}


def sink(name, fmt, **more):
    config = {
        "connector.class": "io.confluent.connect.s3.S3SinkConnector",
        "tasks.max": "1",
        "topics": TOPIC,
        "s3.bucket.name": "readers",
        "flush.size": "3",
        "storage.class": "io.confluent.connect.s3.storage.S3Storage",
        "format.class": f"{FORMATS}.{fmt}",
        "topics.dir": f"{RUN}/{name}",
        **more,
    }
    created = call("POST", "/connectors", {"name": f"readers-{RUN}-{name}", "config": config})
    assert created["type"] == "sink", created


def objects(name, ending):
    folder = S3_DIR / "readers" / RUN / name

    def found():
        files = sorted(path for path in folder.rglob("*") if path.is_file() and path.name.endswith(ending))
        return files

    eventually(f"an object of {name}", lambda: len(found()) == 1, 60)
    return found()[0]


def same(found, wanted, where):
    if isinstance(wanted, dict) and isinstance(found, list):
        found = dict(found)
    if isinstance(wanted, dict):
        assert isinstance(found, dict) and found.keys() == wanted.keys(), f"{where}: {found!r} is not {wanted!r}"
        for key, value in wanted.items():
            same(found[key], value, f"{where}.{key}")
    elif isinstance(wanted, list):
        assert len(found) == len(wanted), f"{where}: {found!r} is not {wanted!r}"
        for index, value in enumerate(wanted):
            same(found[index], value, f"{where}[{index}]")
    elif isinstance(wanted, float):
        assert math.isclose(found, wanted, rel_tol=1e-7) or found == wanted, f"{where}: {found!r} is not {wanted!r}"
    else:
        assert found == wanted and type(found) is type(wanted), f"{where}: {found!r} is not {wanted!r}"


def check_pyarrow(path, codec):
    file = pq.ParquetFile(path)
    found = file.metadata.row_group(0).column(0).compression
    assert found in codec, found
    metadata = file.metadata.metadata
    assert json.loads(metadata[b"parquet.avro.schema"])["name"] == "Value"
    assert (metadata[b"cdc.topic"], metadata[b"cdc.first_offset"], metadata[b"cdc.last_offset"]) == (TOPIC.encode(), b"0", b"2")
    names = [c["name"] for c in COLUMNS]
    assert file.schema_arrow.names == names, file.schema_arrow.names
    # A precision of 64 is more than Arrow's 38 digits: pyarrow takes it as 256 bits.
    rows = file.read().to_pylist()
    for row, found in enumerate(rows):
        same(found, expected(row), f"pyarrow, {codec}, row {row}")


def check_duckdb(path, codec):
    connection = duckdb.connect()
    relation = connection.sql(f"select * from read_parquet('{path}', hive_partitioning=false)")
    types = {name: str(ty) for name, ty in zip(relation.columns, relation.types)}
    assert types == {c["name"]: c["duck"] for c in COLUMNS}, types
    # A moment as a number: Python's module asks for a time zone library else.
    rows = relation.order("i8").select("* replace (epoch_ms(moment) as moment)").fetchall()
    for row in range(3):
        wanted = expected(row)
        found = dict(zip(relation.columns, rows[row]))
        for name, value in wanted.items():
            if name == "wide":
                # DuckDB (1.5.5) makes a DOUBLE of more than 38 digits, and a wrong one of fewer than 8 bytes. The bytes
                # are the original's, and pyarrow reads them right.
                continue
            elif name == "clock":
                found[name], value = found[name].replace(tzinfo=None), value
            elif name == "moment":
                value = (value - EPOCH) // dt.timedelta(milliseconds=1)
            elif name == "named" and isinstance(found[name], dict) and "key" in found[name]:
                found[name] = dict(zip(found[name]["key"], found[name]["value"]))
            same(found[name], value, f"duckdb, {codec}, row {row}, {name}")


def check_avro(path, codec):
    with open(path, "rb") as file:
        reader = fastavro.reader(file)
        assert reader.codec == codec, reader.codec
        schema = reader.writer_schema
        assert schema["name"] in ("Value", "readers.Value"), schema["name"]
        assert [field["name"] for field in schema["fields"]] == [c["name"] for c in COLUMNS]
        assert reader.metadata["cdc.topic"] == TOPIC and reader.metadata["cdc.last_offset"] == "2", reader.metadata.keys()
        rows = list(reader)
    assert len(rows) == 3
    for row, found in enumerate(rows):
        same(found, expected(row), f"fastavro, {codec}, row {row}")


def plain_value(record):
    """What a self-describing record says."""
    said = {field: value for field, value in record.items() if value is not None}
    assert len(said) <= 1, said
    for field, value in said.items():
        if field == "map":
            return {plain_value(entry["key"]): plain_value(entry["value"]) for entry in value}
        return [plain_value(item) for item in value] if field == "array" else value
    return None


def check_json(text):
    lines = text.splitlines()
    assert len(lines) == 3
    for row, line in enumerate(lines):
        found = json.loads(line)
        assert list(found) == [c["name"] for c in COLUMNS]
        wanted = {c["name"]: c["payloads"][row] for c in COLUMNS}
        same(found, wanted, f"json, row {row}")


# By the names that pyarrow has for them: it knows none for the two kinds of LZ4 in every version.
PARQUET = {"none": ["UNCOMPRESSED"], "snappy": ["SNAPPY"], "gzip": ["GZIP"], "zstd": ["ZSTD"]}
PARQUET |= {"lz4": ["LZ4", "LZ4_HADOOP", "UNKNOWN"], "lz4_raw": ["LZ4", "LZ4_RAW", "UNKNOWN"]}
AVRO = {"null": "null", "deflate": "deflate", "snappy": "snappy", "bzip2": "bzip2"}


def main():
    (S3_DIR / "readers").mkdir(exist_ok=True)
    produce()
    for codec in PARQUET:
        sink(f"parquet-{codec}", "parquet.ParquetFormat", **{"parquet.codec": codec})
    for codec in AVRO:
        sink(f"avro-{codec}", "avro.AvroFormat", **{"avro.codec": codec})
    sink("json", "json.JsonFormat")
    sink("json-gzip", "json.JsonFormat", **{"s3.compression.type": "gzip"})
    sink("avro-schemaless", "avro.AvroFormat", **{"value.converter.schemas.enable": "false", "value.converter": JSON_CONVERTER})
    bytes_converter = {"value.converter": "org.apache.kafka.connect.converters.ByteArrayConverter"}
    sink("bytes", "bytearray.ByteArrayFormat", **bytes_converter)
    keys = {"store.kafka.keys": "true", "key.converter": JSON_CONVERTER}
    sink("keys", "parquet.ParquetFormat", **keys, **{"keys.format.class": f"{FORMATS}.avro.AvroFormat"})

    for codec, name in PARQUET.items():
        path = objects(f"parquet-{codec}", ".parquet")
        check_pyarrow(path, name)
        # DuckDB does not read the older kind of LZ4, from whoever it is.
        if codec != "lz4":
            check_duckdb(path, codec)
    for codec, name in AVRO.items():
        check_avro(objects(f"avro-{codec}", ".avro"), name)
    with open(objects("avro-schemaless", ".avro"), "rb") as file:
        assert [plain_value(record)["payload"]["i32"] for record in fastavro.reader(file)] == COLUMNS[2]["payloads"]
    check_json(objects("json", ".json").read_text())
    check_json(gzip.decompress(objects("json-gzip", ".json.gz").read_bytes()).decode())
    raw = objects("bytes", ".bin").read_bytes().splitlines()
    assert [json.loads(line)["payload"]["i32"] for line in raw] == COLUMNS[2]["payloads"]
    with open(objects("keys", ".keys.avro"), "rb") as file:
        assert list(fastavro.reader(file)) == ["k0", "k1", "k2"]

    listed = [name for name in call("GET", "/connectors") if name.startswith(f"readers-{RUN}-")]
    assert len(listed) == 15, listed
    for name in listed:
        call("DELETE", f"/connectors/{name}")


begun = time.monotonic()
main()
print(f"{len(COLUMNS)} columns in {len(PARQUET)} + {len(AVRO)} codecs, JSON and bytes, in {time.monotonic() - begun:.0f} s")
