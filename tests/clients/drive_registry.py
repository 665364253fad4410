"""Rows that a source writes with converters of the Schema Registry, read by Confluent's own deserializers."""

import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
import uuid
from decimal import Decimal
from pathlib import Path
from urllib.parse import urlsplit

from confluent_kafka import OFFSET_BEGINNING, Consumer, TopicPartition
from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroDeserializer
from confluent_kafka.schema_registry.json_schema import JSONDeserializer
from confluent_kafka.schema_registry.protobuf import ProtobufDeserializer
from confluent_kafka.serialization import MessageField, SerializationContext
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

KAFKA = os.environ["FERROCONNECT_TEST_KAFKA"]
POSTGRES = urlsplit(os.environ["FERROCONNECT_TEST_POSTGRES"])
REGISTRY = os.environ["FERROCONNECT_TEST_REGISTRY"]
TABLE = """create table items (id int primary key, name text, price numeric(10,2), tags text[], sold boolean, at timestamptz);
insert into items values (1, 'Widget', 19.99, '{a,null}', true, '2024-05-01T10:00:00Z'), (2, null, null, null, null, null)"""
# What a registered file may import without a reference.
KNOWN_FILES = {
    "confluent/meta.proto": """syntax = "proto3"; package confluent; import "google/protobuf/descriptor.proto";
        message Meta { string doc = 1; map<string, string> params = 2; repeated string tags = 3; } extend google.protobuf.FieldOptions { Meta field_meta = 1088; }""",
    "confluent/type/decimal.proto": """syntax = "proto3"; package confluent.type; message Decimal { bytes value = 1; uint32 precision = 2; int32 scale = 3; }""",
}
EXPECTED = [
    {"id": 1, "name": "Widget", "price": Decimal("19.99"), "tags": ["a", None], "sold": True, "at": "2024-05-01T10:00:00.000000Z"},
    {"id": 2, "name": None, "price": None, "tags": None, "sold": None, "at": None},
]


def psql(database, statement):
    url = POSTGRES._replace(path=f"/{database}").geturl()
    subprocess.run(["psql", "-qX", "-v", "ON_ERROR_STOP=1", "-d", url, "-c", statement], check=True, stdout=subprocess.DEVNULL)


def call(method, url, body=None):
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"Content-Type": "application/json"}, method=method)
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


def read(topic, deserializer):
    consumer = Consumer({"bootstrap.servers": KAFKA, "group.id": topic, "auto.offset.reset": "earliest", "topic.metadata.refresh.interval.ms": 1000})
    # The topic has one partition, and may not be there yet.
    consumer.assign([TopicPartition(topic, 0, OFFSET_BEGINNING)])
    rows, deadline = [], time.monotonic() + 60
    while len(rows) < len(EXPECTED) and time.monotonic() < deadline:
        message = consumer.poll(1)
        if message is not None and message.error() is None:
            rows.append(deserializer(message.value(), SerializationContext(topic, MessageField.VALUE)))
    consumer.close()
    return sorted(rows, key=lambda row: row["id"])


def message_class(text, name):
    """The class that protoc makes of a registered file."""
    with tempfile.TemporaryDirectory() as folder:
        for path, content in {**KNOWN_FILES, "rows.proto": text}.items():
            file = Path(folder, path)
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(content)
        out = Path(folder, "rows.pb")
        subprocess.run([sys.executable, "-m", "grpc_tools.protoc", f"-I{folder}", "--include_imports", f"--descriptor_set_out={out}", "rows.proto"], check=True)
        files = descriptor_pb2.FileDescriptorSet.FromString(out.read_bytes())
    pool = descriptor_pool.DescriptorPool()
    for file in files.file:
        pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(name))


def row_of(message):
    """A message as the other formats have it."""
    row = {}
    for field in message.DESCRIPTOR.fields:
        value = getattr(message, field.name) if not field.has_presence or message.HasField(field.name) else None
        if value is not None and field.name == "price":
            value = Decimal(int.from_bytes(value.value, "big", signed=True)).scaleb(-value.scale)
        row[field.name] = value
    return row


def drive(worker, database, converter, deserializer_of, expected=EXPECTED, settings={}):
    name = "r" + uuid.uuid4().hex[:10]
    config = {
        "connector.class": "io.debezium.connector.postgresql.PostgresConnector",
        "plugin.name": "pgoutput",
        "database.hostname": POSTGRES.hostname,
        "database.port": str(POSTGRES.port or 5432),
        "database.user": POSTGRES.username,
        "database.password": POSTGRES.password or "unused",
        "database.dbname": database,
        "topic.prefix": name,
        "table.include.list": "public.items",
        "slot.name": name,
        "slot.drop.on.stop": "true",
        "publication.name": name,
        "publication.autocreate.mode": "filtered",
        "transforms": "unwrap",
        "transforms.unwrap.type": "io.debezium.transforms.ExtractNewRecordState",
        "value.converter.decimal.format": "NUMERIC",
        **settings,
    }
    for side in ("key", "value"):
        config[f"{side}.converter"] = converter
        config[f"{side}.converter.schema.registry.url"] = REGISTRY
    status, body = call("POST", f"{worker}/connectors", {"name": name, "config": config})
    assert status == 201, body
    topic = f"{name}.public.items"
    try:
        rows = read(topic, deserializer_of(topic))
        rows = [{key: Decimal(str(value)) if key == "price" and value is not None else value for key, value in row.items()} for row in rows]
        assert rows == expected, rows
    finally:
        call("DELETE", f"{worker}/connectors/{name}")


def main(worker):
    registry = SchemaRegistryClient({"url": REGISTRY})
    database = "clients_" + uuid.uuid4().hex[:10]
    psql("postgres", f"create database {database}")
    psql(database, TABLE)
    latest = lambda topic: registry.get_latest_version(f"{topic}-value").schema

    def schema_of(topic):
        # The schema is there once the first message is.
        deadline = time.monotonic() + 60
        while True:
            try:
                return latest(topic)
            except Exception:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.2)

    def json_deserializer(topic):
        return JSONDeserializer(schema_of(topic), schema_registry_client=registry)

    def protobuf_deserializer(topic):
        of = message_class(schema_of(topic).schema_str, f"{topic}.Value")
        # Without the registry, of which it would want the compiled form of the file: only Confluent's has that.
        deserializer = ProtobufDeserializer(of, {"use.deprecated.format": False})
        return lambda value, context: row_of(deserializer(value, context))

    try:
        drive(worker, database, "io.confluent.connect.avro.AvroConverter", lambda _: AvroDeserializer(registry))
        drive(worker, database, "io.confluent.connect.json.JsonSchemaConverter", json_deserializer)
        # Lists of Protobuf hold no nulls.
        without_tags = [{name: value for name, value in row.items() if name != "tags"} for row in EXPECTED]
        settings = {"column.exclude.list": "public.items.tags", "value.converter.optional.for.nullables": "true"}
        drive(worker, database, "io.confluent.connect.protobuf.ProtobufConverter", protobuf_deserializer, without_tags, settings)
    finally:
        psql("postgres", f"drop database if exists {database} with (force)")


main(sys.argv[1])
