"""Cases of Debezium's transforms, of the generation that ours writes and of the one before."""

import data as d
from data import arr, array, date, dec, decimal, f32, f64, i8, i16, i32, i64, logical, mapping, optional, pairs, raw, record, row, schema, semantic, struct

T = "io.debezium.transforms."
SOURCE = struct(
    ["version", "STRING"], ["connector", "STRING"], ["name", "STRING"], ["ts_ms", "INT64"], ["snapshot", semantic("STRING", "io.debezium.data.Enum", optional=True, default="false", parameters=[["allowed", "true,first,last,false"]])],
    ["db", "STRING"], ["sequence", "STRING?"], ["ts_us", "INT64?"], ["ts_ns", "INT64?"], ["schema", "STRING"], ["table", "STRING"], ["txId", "INT64?"], ["lsn", "INT64?"], ["xmin", "INT64?"],
    name="io.debezium.connector.postgresql.Source", version=1,
)
SOURCE_ROW = row("3.6.3.Final", "postgresql", "cdc", i64(1_714_557_600_000), "false", "db", "[null,\"1\"]", i64(1_714_557_600_000_001), i64(1_714_557_600_000_001_000), "commerce", "products", i64(737), i64(26_570_784), None)
TRANSACTION = struct(["id", "STRING"], ["total_order", "INT64"], ["data_collection_order", "INT64"], name="event.block", version=1, optional=True)
TRANSACTION_ROW = row("737:1", i64(1), i64(2))
COLUMNS = struct(
    ["id", "INT32"],
    ["name", "STRING?"],
    ["price", decimal(2, optional=True)],
    ["updated_at", semantic("STRING", "io.debezium.time.ZonedTimestamp", optional=True)],
    ["kind", schema("STRING", optional=True, default="n/a")],
    name="cdc.commerce.products.Value",
)
KEY = struct(["id", "INT32"], name="cdc.commerce.products.Key")
TOPIC = "cdc.commerce.products"


def columns(id_=1, name="Widget", price=1999, updated="2024-05-01T10:00:00.000000Z", kind=None):
    return row(i32(id_), name, None if price is None else dec(price, 2), updated, kind)


def envelope(of, name="cdc.commerce.products.Envelope"):
    return struct(["before", optional(of)], ["after", optional(of)], ["source", SOURCE], ["transaction", TRANSACTION], ["op", "STRING"], ["ts_ms", "INT64?"], ["ts_us", "INT64?"], ["ts_ns", "INT64?"], name=name, version=2)


ENVELOPE = envelope(COLUMNS)


def event(op, before, after, of=ENVELOPE, transaction=None, source=SOURCE_ROW, key_schema=KEY, key=row(i32(1)), topic=TOPIC, **rest):
    value = row(before, after, source, transaction, op, i64(1_714_557_600_500), i64(1_714_557_600_500_001), i64(1_714_557_600_500_001_002))
    return record(of, value, key_schema, key, topic, **rest)


HEARTBEAT = record(struct(["ts_ms", "INT64"], name="io.debezium.connector.common.Heartbeat", version=1), row(i64(1)), struct(["serverName", "STRING"], name="io.debezium.connector.common.ServerNameKey"), row("cdc"), "__debezium-heartbeat.cdc")
TOMBSTONE = record(key_schema=KEY, key=row(i32(1)), topic=TOPIC)
MESSAGE = struct(
    ["op", "STRING"], ["ts_ms", "INT64?"], ["source", SOURCE], ["transaction", TRANSACTION], ["message", struct(["prefix", "STRING?"], ["content", "BYTES?"], name="io.debezium.connector.postgresql.Message", optional=True)],
    name="io.debezium.connector.postgresql.MessageValue", version=1,
)


def message(content, prefix="p", schema_key="STRING"):
    body = row("m", i64(5), SOURCE_ROW, None, row(prefix, None if content is None else raw(content)))
    return record(MESSAGE, body, struct(["prefix", "STRING?"], name="io.debezium.connector.postgresql.MessageKey", version=1), row(prefix), "cdc.message")


def events():
    old, new = columns(), columns(name="Gadget", price=2450, kind="k")
    return [
        event("r", None, old),
        event("c", None, new, transaction=TRANSACTION_ROW, headers=[["h", "STRING", "x"]]),
        event("u", old, new),
        event("u", None, new),
        event("d", old, None, transaction=TRANSACTION_ROW),
        event("d", columns(1, None, None, None), None),
        event("d", None, None),
        event("t", None, None),
        TOMBSTONE,
        record(optional(ENVELOPE), None, KEY, row(i32(1)), TOPIC),
        HEARTBEAT,
        message(b"{}"),
        record(None, pairs(("op", "c")), topic=TOPIC),
        record(COLUMNS, old, KEY, row(i32(1)), TOPIC),
        record("STRING", "text"),
        record(None, "text"),
        event("c", None, new, key_schema=None, key=None),
    ]


def unwrap(cases):
    class_ = f"{T}ExtractNewRecordState"
    additions = [
        {}, {"add.fields": "op,table,source.ts_ms,ts_ms"}, {"add.fields": "op:OP,source.lsn:LSN,transaction.id", "add.fields.prefix": ""}, {"add.fields": "id,total_order,db,snapshot,txId,ts_us,ts_ns,schema", "add.fields.prefix": "_"},
        {"add.headers": "op,source.ts_ms,transaction.id:TX"}, {"add.headers": "table,zz", "add.headers.prefix": "h.", "add.fields": "zz,source.zz,op"}, {"add.fields": " op , lsn "},
    ]
    modes = [{}, *({"delete.tombstone.handling.mode": mode} for mode in ("drop", "tombstone", "rewrite", "rewrite-with-tombstone", "delete-to-tombstone", " Rewrite "))]
    for mode in modes:
        for added in additions[:5] if mode else additions:
            cases.add("transform", class_, {**mode, **added}, events())
    for more in ({"route.by.field": "name"}, {"route.by.field": "kind"}, {"route.by.field": "id"}, {"route.by.field": "zz"}, {"replace.null.with.default": "false"}, {"replace.null.with.default": "false", "delete.tombstone.handling.mode": "rewrite"}):
        cases.add("transform", class_, {"delete.tombstone.handling.mode": "rewrite", **more}, events())
    listed = [["c", array("STRING?", optional=True), arr("name", "price", "id")]]
    dropped = [{**one, "headers": listed} for one in events()[:6]] + [events()[2]] + [{**events()[2], "headers": [["c", array("STRING?", optional=True), arr()]]}]
    for more in ({}, {"replace.null.with.default": "false"}, {"drop.fields.keep.schema.compatible": "false"}, {"drop.fields.from.key": "true"}, {"drop.fields.from.key": "true", "drop.fields.keep.schema.compatible": "false"}):
        for mode in ("tombstone", "rewrite"):
            cases.add("transform", class_, {"drop.fields.header.name": "c", "delete.tombstone.handling.mode": mode, "add.fields": "op", **more}, dropped)
    for bad in ({"delete.tombstone.handling.mode": "zzz"}, {"add.fields": "a:b:c"}, {"add.fields": "zz.y"}, {"add.fields": "op,op"}, {"add.fields": "op:id", "add.fields.prefix": ""}, {"add.headers": "a:b:c"}, {"add.fields": ""}, {"add.fields": ","}, {"drop.fields.from.key": "maybe"}):
        cases.add("transform", class_, bad, events()[:2])
    # The generation before: only the pair of options, and another order of fields.
    for mode in ("drop", "rewrite", "none"):
        for tombstones in ("true", "false"):
            for added in additions[:6]:
                # That generation's envelopes had neither.
                added = {name: text.replace(",ts_us,ts_ns", "") for name, text in added.items()}
                config = {"delete.handling.mode": mode, "drop.tombstones": tombstones, **added}
                cases.add("transform", class_, config, events(), original="debezium-2")
    for more in ({"route.by.field": "name"}, {"route.by.field": "kind"}):
        cases.add("transform", class_, {"delete.handling.mode": "rewrite", "drop.tombstones": "false", **more}, events()[:6], original="debezium-2")
    # None of the options of either generation: what a file without any means is the newer one's business.


def changed(cases):
    class_ = f"{T}ExtractChangedRecordState"
    for config in ({"header.changed.name": "c"}, {"header.unchanged.name": "u"}, {"header.changed.name": "c", "header.unchanged.name": "u"}, {}, {"header.changed.name": ""}):
        cases.add("transform", class_, config, events())


def header_to_value(cases):
    class_ = f"{T}HeaderToValue"
    headers = [["h1", "STRING", "v1"], ["h2", "INT32", i32(2)], ["h1", "STRING", "last"], ["h3", None, None]]
    inputs = [{**one, "headers": headers} for one in events()] + events()[:2]
    for operation in ("move", "copy", "MOVE"):
        for fields in ("f1,f2", "source.f1,after.f2", "op,before.id", "a.b.c,a.b.d", "op.f1,f2"):
            cases.add("transform", class_, {"headers": "h1,h2", "fields": fields, "operation": operation}, inputs)
    cases.add("transform", class_, {"headers": "h3", "fields": "f", "operation": "move"}, inputs[:6])
    cases.add("transform", class_, {"headers": "zz,h1", "fields": "f,g", "operation": "move"}, inputs[:6])
    for config in ({}, {"headers": "h1", "fields": "a,b", "operation": "move"}, {"headers": "h1", "fields": "a", "operation": "zz"}, {"headers": "h1", "fields": "a"}, {"headers": "", "fields": "a", "operation": "copy"}, {"headers": "h 1", "fields": "a", "operation": "copy"}, {"headers": "h1", "fields": "", "operation": "copy"}):
        cases.add("transform", class_, config, inputs[:2])


def logical_table_router(cases):
    class_ = f"{T}ByLogicalTableRouter"
    inputs = events() + [event("c", None, columns(), key_schema="STRING", key="k"), event("c", None, columns(), topic="other")]
    base = {"topic.regex": "(.*)products", "topic.replacement": "$1all"}
    for more in (
        {}, {"key.enforce.uniqueness": "false"}, {"key.field.name": "shard"}, {"key.field.regex": "cdc\\.(.*)\\.products", "key.field.replacement": "$1"}, {"key.field.regex": "zz", "key.field.replacement": "$1"}, {"topic.replacement": ""}, {"topic.replacement": "a-b 1"},
        {"topic.replacement": "1-b ü", "schema.name.adjustment.mode": "avro"}, {"topic.replacement": "1-b_ü", "schema.name.adjustment.mode": "avro_unicode"}, {"logical.table.cache.size": "1"}, {"topic.regex": "("}, {"key.field.regex": "a"}, {"key.field.regex": "(", "key.field.replacement": "x"}, {"schema.name.adjustment.mode": "zz"}, {"key.field.name": "id"}, {"topic.replacement": "$3"},
    ):
        cases.add("transform", class_, {**base, **more}, inputs)
    for config in ({}, {"topic.regex": "a"}, {"topic.replacement": "x"}):
        cases.add("transform", class_, config, [])


OUTBOX = struct(["id", semantic("STRING", "io.debezium.data.Uuid")], ["aggregatetype", "STRING"], ["aggregateid", "STRING"], ["type", "STRING"], ["payload", semantic("STRING", "io.debezium.data.Json", optional=True)], ["ts", semantic("INT64", "io.debezium.time.MicroTimestamp", optional=True)], ["version", "INT32?"], ["extra", "STRING?"], ["part", "INT32?"], name="s.db.outbox.Value")


def outbox(payload="{\"a\":1}", ts=1_714_557_600_123_456, version=1, extra="e", part=2, type_="Order"):
    return row("u-1", type_, "17", "Created", payload, None if ts is None else i64(ts), None if version is None else i32(version), extra, None if part is None else i32(part))


def event_router(cases):
    class_ = f"{T}outbox.EventRouter"
    of = envelope(OUTBOX, "s.db.outbox.Envelope")
    inputs = [event(op, before, after, of, topic="s.db.outbox", **more) for op, before, after, more in (
        ("c", None, outbox(), {"headers": [["h", "STRING", "x"]]}), ("r", None, outbox(payload=None), {}), ("c", None, outbox(payload=""), {}), ("c", None, outbox(payload="  "), {}), ("c", None, outbox(payload="plain", ts=None, version=2, extra=None, part=None, type_="A.b"), {}),
        ("u", outbox(), outbox(), {}), ("d", outbox(), None, {}), ("t", None, None, {}),
    )] + [TOMBSTONE, HEARTBEAT, record(None, "text"), events()[1]]
    for config in (
        {}, {"table.op.invalid.behavior": "error"}, {"table.op.invalid.behavior": "fatal"}, {"table.field.event.key": "extra"}, {"table.field.event.id": "aggregateid"}, {"table.field.event.timestamp": "ts"}, {"table.field.event.timestamp": "extra"}, {"table.field.event.timestamp": "zz"}, {"table.field.event.schema.version": "version"},
        {"table.fields.additional.placement": "type:header:eventType,extra:header"}, {"table.fields.additional.placement": "type:envelope:eventType,extra:envelope"}, {"table.fields.additional.placement": "part:partition"}, {"table.fields.additional.placement": "type:envelope,type:header:t,part:partition", "table.field.event.schema.version": "version"},
        {"table.fields.additional.placement": "zz:header"}, {"table.fields.additional.placement": "zz:envelope"}, {"table.fields.additional.placement": "zz:header,zz:envelope", "table.field.additional.missing": "ignore"}, {"route.by.field": "type"}, {"route.by.field": "part"}, {"route.by.field": "zz"}, {"route.topic.regex": "(.)(.*)", "route.topic.replacement": "x.$2.$1"}, {"route.topic.replacement": "all"},
        {"route.tombstone.on.empty.payload": "true"}, {"table.field.event.payload": "zz"}, {"table.field.event.payload": "version"}, {"table.field.event.key": "zz"}, {"table.field.event.id": "zz"}, {"table.fields.additional.placement": "zz"}, {"table.fields.additional.placement": "a:header:b:c"}, {"route.topic.regex": "("}, {"table.op.invalid.behavior": "zz"},
    ):
        cases.add("transform", class_, config, inputs)
    texts = ["{\"a\":1,\"b\":2147483648,\"c\":1.5,\"d\":\"x\",\"e\":true,\"f\":null,\"g\":[],\"h\":[1,2],\"o\":{\"x\":1,\"y\":{}}}", "[1,2]", "[{\"a\":1},{\"a\":2}]", "{\"l\":[{\"a\":1,\"b\":2},{\"b\":3,\"a\":4},{\"a\":5}]}", "text", "{", "{}", "[]", "{\"a\":[1,\"x\"]}", "{\"a\":[{\"b\":1},{\"c\":2}]}", " {\"a\":1}", "{\"a\":[null,1]}", "{\"a\":[[1],[2]]}", "{\"a\":1e3}", "{\"a\":98765432109876543211}", "{\"a b\":1,\"1\":2}", None, ""]
    expanded = [event("c", None, outbox(payload=text), of, topic="s.db.outbox") for text in texts]
    for more in ({}, {"table.json.payload.null.behavior": "optional_bytes"}, {"table.fields.additional.placement": "type:envelope"}, {"route.tombstone.on.empty.payload": "true"}):
        cases.add("transform", class_, {"table.expand.json.payload": "true", **more}, expanded)


def scripts(cases):
    inputs = events()[:9] + [event("c", None, columns(id_=7, name="ab"), headers=[["h", "STRING", "x"], ["h", "STRING", "y"]], topic="other")]
    conditions = [
        "value.op == 'u'", "value.op == 'u' && value.after.id == 1", "value.after.name == 'Gadget'", "value.before == null", "topic == 'other'", "topic.contains('products')", "topic.startsWith('cdc') || value.op == 'd'", "!(value.op == 'c')", "key.id == 1", "value.after.id > 1", "value.after.id >= 1 && value.after.id < 5",
        "header.h.value == 'y'", "value.op in ['c','r']", "value.after?.name != null", "valueSchema.name() == 'cdc.commerce.products.Envelope'", "value.source.table == 'products'", "value.op != 'd' ? true : false", "value.after.price > 20", "value.op.equals('u')", "value.after.name.length() == 6", "value.after.name.toLowerCase() == 'gadget'", "value.op", "null", "1",
    ]
    for condition in conditions:
        cases.add("transform", f"{T}Filter", {"language": "jsr223.groovy", "condition": condition}, inputs)
    for mode in ("keep", "drop", "evaluate"):
        cases.add("transform", f"{T}Filter", {"language": "jsr223.groovy", "condition": "value == null || value.op == 'u'", "null.handling.mode": mode}, inputs)
        cases.add("transform", f"{T}ContentBasedRouter", {"language": "jsr223.groovy", "topic.expression": "value == null ? 'nulls' : value.op == 'u' ? 'updates' : null", "null.handling.mode": mode}, inputs)
    cases.add("transform", f"{T}Filter", {"language": "jsr223.groovy", "condition": "false", "topic.regex": "cdc.*"}, inputs)
    for expression in ("value.op == 'u' ? 'updates' : topic", "topic + '-x'", "value.op", "5", "value.after.name"):
        cases.add("transform", f"{T}ContentBasedRouter", {"language": "jsr223.groovy", "topic.expression": expression}, inputs)
    for config in ({"condition": "true"}, {"language": "groovy", "condition": "true"}, {"language": "jsr223.nope", "condition": "true"}, {"language": "jsr223.groovy"}, {"language": "jsr223.groovy", "condition": "true", "topic.regex": "("}, {"language": "jsr223.groovy", "condition": "true", "null.handling.mode": "zz"}):
        cases.add("transform", f"{T}Filter", config, inputs[:1])


def partition_routing(cases):
    class_ = f"{T}partitions.PartitionRouting"
    typed = struct(["id", "INT32"], ["big", "INT64?"], ["text", "STRING?"], ["flag", "BOOLEAN?"], ["real", "FLOAT64?"], ["small", "FLOAT32?"], ["price", decimal(2, optional=True)], ["tiny", "INT8?"], ["short", "INT16?"], ["at", logical(d.TIMESTAMP, optional=True)], ["inner", struct(["x", "STRING"], optional=True)], name="t.Value")
    of = envelope(typed, "t.Envelope")
    one = row(i32(5), i64(2**40 + 3), "größe\U0001f600", True, f64("1.5"), f32("2.5"), dec(1999, 2), i8(-3), i16(300), date(1_700_000_000_123), row("deep"))
    two = row(i32(-7), i64(-1), "n1", False, f64("-0.0"), f32("NaN"), dec(-1, 2), i8(1), i16(-1), date(-1), None)
    none = row(i32(0), None, "", None, None, None, None, None, None, None, None)
    inputs = [event("c", None, one, of), event("u", one, two, of), event("d", two, None, of), event("r", None, none, of), event("t", None, None, of), TOMBSTONE, HEARTBEAT, record(None, "x")]
    fields = ["change.id", "change.big", "change.text", "change.flag", "change.real", "change.small", "change.price", "change.tiny", "change.short", "change.at", "change.inner.x", "op", "source.table", "after.id", "before.id", "change.id,change.text", "change.zz", "zz", "change.inner", "ts_ms", "change.zz,change.id"]
    for function in ("java", "murmur"):
        for field in fields:
            # A struct has another hash in every process.
            cases.add("transform", class_, {"partition.payload.fields": field, "partition.topic.num": "7", "partition.hash.function": function}, inputs, differs="partition" if field == "change.inner" else None)
        cases.add("transform", class_, {"partition.payload.fields": "change.text", "partition.topic.num": "1000003", "partition.hash.function": function}, inputs)
    for config in ({}, {"partition.payload.fields": "op"}, {"partition.topic.num": "3"}, {"partition.payload.fields": "op", "partition.topic.num": "0"}, {"partition.payload.fields": "op", "partition.topic.num": "-1"}, {"partition.payload.fields": "op", "partition.topic.num": "x"}, {"partition.payload.fields": "op", "partition.topic.num": "3", "partition.hash.function": "zz"}, {"partition.payload.fields": "", "partition.topic.num": "3"}):
        cases.add("transform", class_, config, inputs[:1])


def timezone_converter(cases):
    class_ = f"{T}TimezoneConverter"
    times = struct(
        ["id", "INT32"], ["z", semantic("STRING", "io.debezium.time.ZonedTimestamp", optional=True)], ["ms", semantic("INT64", "io.debezium.time.Timestamp", optional=True)], ["us", semantic("INT64", "io.debezium.time.MicroTimestamp", optional=True)], ["ns", semantic("INT64", "io.debezium.time.NanoTimestamp", optional=True)],
        ["c", logical(d.TIMESTAMP, optional=True)], ["d", semantic("INT32", "io.debezium.time.Date", optional=True)], ["t", semantic("INT64", "io.debezium.time.MicroTime", optional=True)], name="cdc.commerce.products.Value",
    )
    of = envelope(times)
    full = row(i32(1), "2024-07-01T10:00:00.123400Z", i64(1_719_828_000_000), i64(1_719_828_000_123_456), i64(1_719_828_000_123_456_789), date(1_719_828_000_000), i32(19_905), i64(36_000_000_000))
    winter = row(i32(1), "2024-01-01T10:00:00Z", i64(-1), i64(-1), i64(0), date(0), None, None)
    none = row(i32(1), None, None, None, None, None, None, None)
    inputs = [event("c", None, full, of), event("u", winter, full, of), event("d", none, None, of), event("t", None, None, of), TOMBSTONE, HEARTBEAT, record(None, "x"), event("r", None, row(i32(1), "2024-03-31T01:30:00Z", i64(1_711_848_600_000), None, None, None, None, None), of), event("r", None, row(i32(1), "infinity", None, None, None, None, None, None), of)]
    for zone in ("+05:30", "America/New_York", "Europe/Berlin", "UTC", "-03:00", "Asia/Kolkata", "+01:00:30", "Z", "GMT+2"):
        cases.add("transform", class_, {"converted.timezone": zone}, inputs)
    for rule in ("source:products", "source:products:z", "topic:cdc.commerce.products:ms", "products:us", "source:other", "topic:cdc.commerce.products", "source:products:z,ms", "source:products:after.z", "source:products:before.z", "source:products:source.ts_ms", "source:products:d", "source:products:zz", "cdc.commerce.products:z"):
        for side in ("include.list", "exclude.list"):
            cases.add("transform", class_, {"converted.timezone": "+05:30", side: rule}, inputs[:4])
    for config in ({}, {"converted.timezone": "Nowhere/Else"}, {"converted.timezone": "+25:00"}, {"converted.timezone": "UTC", "include.list": "source:a", "exclude.list": "source:b"}, {"converted.timezone": "UTC", "include.list": "source:a-b"}, {"converted.timezone": "UTC", "include.list": "a:b:c:d"}, {"converted.timezone": "5"}):
        cases.add("transform", class_, config, inputs[:1])


def point(x, y, srid=None, big=False):
    import struct as packing

    order = ">" if big else "<"
    kind = 1 | (0x20000000 if srid is not None else 0)
    data = packing.pack(order + "BI", 0 if big else 1, kind)
    if srid is not None:
        data += packing.pack(order + "I", srid)
    return data + packing.pack(order + "dd", x, y)


def line(*points, kind=2):
    import struct as packing

    return packing.pack("<BII", 1, kind, len(points)) + b"".join(packing.pack("<dd", *one) for one in points)


def polygon(*rings):
    import struct as packing

    return packing.pack("<BII", 1, 3, len(rings)) + b"".join(packing.pack("<I", len(ring)) + b"".join(packing.pack("<dd", *one) for one in ring) for ring in rings)


def multi(kind, *parts):
    import struct as packing

    return packing.pack("<BII", 1, kind, len(parts)) + b"".join(parts)


def point_z(x, y, z, kind):
    import struct as packing

    return packing.pack("<BI", 1, kind) + packing.pack("<ddd", x, y, z)


def geometry(cases):
    shape = struct(["wkb", "BYTES"], ["srid", "INT32?"], name="io.debezium.data.geometry.Geometry", version=1, optional=True)
    of = struct(["id", "INT32"], ["g", shape], ["deep", struct(["h", shape], optional=True)], name="t.Value")
    whole = envelope(of, "t.Envelope")
    ring = [(0.0, 1.0), (2.0, 3.0), (4.0, 5.0), (0.0, 1.0)]
    shapes = [point(1.5, -2.5), point(1.5, -2.5, big=True), point(1.5, -2.5, srid=4326), line((1.0, 2.0), (3.0, 4.0)), polygon(ring, ring), multi(4, point(1.0, 2.0), point(3.0, 4.0)), multi(5, line((1.0, 2.0), (3.0, 4.0))), multi(6, polygon(ring)), multi(7, point(1.0, 2.0), line((5.0, 6.0), (7.0, 8.0))), point_z(1.0, 2.0, 3.0, 1001), point_z(1.0, 2.0, 3.0, 0x80000001), b"\x01", b"\x01\x63\x00\x00\x00", b""]

    def one(wkb, srid):
        held = row(raw(wkb), None if srid is None else i32(srid))
        return row(i32(1), held, row(held))

    inputs = [record(of, one(wkb, srid)) for wkb in shapes for srid in (4326,)]
    inputs += [record(of, one(shapes[0], srid)) for srid in (None, 3857, 25_832)] + [event("u", one(shapes[0], 4326), one(shapes[3], 4326), whole)]
    inputs += [record(of, row(i32(1), None, None)), record(shape, row(raw(shapes[0]), i32(4326))), record(None, "x"), record(), record(optional(of), None), record("STRING", "x"), record(None, pairs(("a", i32(1))))]
    for config in ({}, {"srids": "25832, 3857"}, {"srids": "x"}, {"srids": ""}):
        cases.add("transform", f"{T}SwapGeometryCoordinates", config, inputs)
    for config in ({}, {"format": "wkb"}, {"format": "ewkb"}, {"format": "EWKB"}, {"format": "zz"}, {"format": ""}):
        # One record a case: an EWKB value changes what the original makes of those behind it.
        for input_ in inputs if config.get("format") not in ("zz", "") else inputs[:1]:
            cases.add("transform", f"{T}GeometryFormatTransformer", config, [input_])


def vectors(cases):
    double = array("FLOAT64", name="io.debezium.data.DoubleVector", version=1, optional=True)
    float_ = array("FLOAT32", name="io.debezium.data.FloatVector", version=1, optional=True)
    sparse = struct(["dimensions", "INT16"], ["vector", mapping("INT16", "FLOAT64")], name="io.debezium.data.SparseDoubleVector", version=1, doc="Sparse vector", optional=True)
    of = struct(["id", "INT32"], ["d", double], ["f", float_], ["s", sparse], ["n", struct(["d", {**double, "optional": False}], name="n", optional=True)], name="t.Value", version=2)
    full = row(i32(1), arr(f64("1.0"), f64("2.5"), f64("1.0E10"), f64("NaN")), arr(f32("0.1"), f32("-2.0")), row(i16(5), pairs((i16(3), f64("1.5")), (i16(1), f64("2.0")), (i16(2), f64("0.0")))), row(arr(f64("9.0"))))
    none = row(i32(1), None, None, None, None)
    empty = row(i32(1), arr(), arr(), row(i16(0), pairs()), row(arr()))
    inputs = [record(of, full), record(of, none), record(of, empty), record(optional(of), full), event("u", none, full, envelope(of, "t.Envelope")), record(d.NARROW, d.NARROW_ROW), record(), record(optional(of), None), record(None, "x"), record("STRING", "x"), record(double, arr(f64("1.0"))), record(None, pairs(("a", i32(1)))), HEARTBEAT]
    cases.add("transform", f"{T}VectorToJsonConverter", {}, inputs)


def propagated(cases):
    def column(of, type_, length=None, scale=None, comment=None):
        base = schema(of) if isinstance(of, str) else of
        parameters = [["__debezium.source.column.type", type_]]
        parameters += [["__debezium.source.column.length", length]] if length else []
        parameters += [["__debezium.source.column.scale", scale]] if scale else []
        parameters += [["__debezium.source.column.name", "c"]]
        parameters += [["__debezium.source.column.comment", comment]] if comment else []
        return {**base, "parameters": base.get("parameters", []) + parameters}

    of = struct(["id", column("INT32", "INT4", "10", "0")], ["name", column(schema("STRING", optional=True), "VARCHAR", "255", None, "the name")], ["plain", column("STRING", "TEXT")], name="t.Value")
    value = row(i32(1), "x", "y")
    with_all = envelope(of, "t.Envelope")
    inputs = [event("c", None, value, with_all), event("u", value, value, with_all), event("d", value, None, with_all), event("r", None, value, with_all), event("t", None, None, with_all), TOMBSTONE, HEARTBEAT, record(None, "x"), events()[1]]
    cases.add("transform", f"{T}ExtractSchemaToNewRecord", {}, inputs)


def logical_messages(cases):
    class_ = "io.debezium.connector.postgresql.transforms.DecodeLogicalDecodingMessageContent"
    contents = [b"{}", b"{\"a\":1,\"b\":\"x\",\"c\":null,\"d\":1.5,\"e\":true,\"f\":{\"g\":[1,2]},\"h\":[]}", b"[1,2]", b"[{\"a\":1}]", b"text", b"", b"{", b"{\"a\":2147483648}", b"{\"a\":{}}", b"{\"a\":[{\"b\":1},{\"b\":2}]}", b"{\"a\":[1,\"x\"]}", "{\"ü\":\"ü\"}".encode(), b" {\"a\":1}", None]
    inputs = [message(content) for content in contents] + [HEARTBEAT, events()[1], record(None, "x"), TOMBSTONE]
    for config in ({}, {"fields.null.include": "true"}, {"fields.null.include": "x"}):
        cases.add("transform", class_, config, inputs)


def small_ones(cases):
    cases.add("transform", "io.debezium.connector.mysql.transforms.ReadToInsertEvent", {}, events())
    names = ["cdc.commerce.products", "CamelCase.TableName", "snake_case_name", "a-b c", "UPPER", "x1Y2"]
    inputs = [record(d.NARROW, d.NARROW_ROW, topic=name) for name in names] + [event("c", None, columns())]
    styles = ["default", "snake_case", "camel_case", "UPPER_CASE", "lower_case", "kebab-case", "", "SNAKE_CASE"]
    for style in styles:
        cases.add("transform", "io.debezium.connector.jdbc.transforms.CollectionNameTransformation", {"collection.naming.style": style}, inputs)
    for config in ({}, {"collection.naming.prefix": "p_", "collection.naming.suffix": "_s", "collection.naming.style": "snake_case"}):
        cases.add("transform", "io.debezium.connector.jdbc.transforms.CollectionNameTransformation", config, inputs)
    fields = struct(["id", "INT32"], ["firstName", "STRING?"], ["last_name", schema("STRING", optional=True, default="x")], ["URLValue", "STRING?"], name="t.Value")
    value = row(i32(1), "a", None, "u")
    key = struct(["theId", "INT32"], name="t.Key")
    inputs = [record(fields, value, key, row(i32(1))), record(optional(fields), None, key, row(i32(1))), event("u", value, value, envelope(fields, "t.Envelope"), key_schema=key), TOMBSTONE, record(None, pairs(("firstName", "x"))), record("STRING", "x", "STRING", "k"), HEARTBEAT]
    for style in styles:
        cases.add("transform", "io.debezium.connector.jdbc.transforms.FieldNameTransformation", {"column.naming.style": style}, inputs)
    for config in ({}, {"column.naming.prefix": "p_", "column.naming.suffix": "_s", "column.naming.style": "snake_case"}):
        cases.add("transform", "io.debezium.connector.jdbc.transforms.FieldNameTransformation", config, inputs)
    table_change = struct(["type", "STRING"], ["id", "STRING"], name="change")
    change = struct(["source", SOURCE], ["ts_ms", "INT64"], ["databaseName", "STRING?"], ["schemaName", "STRING?"], ["ddl", "STRING?"], ["tableChanges", array(table_change, optional=True)], name="io.debezium.connector.mysql.SchemaChangeValue", version=1)
    changes = [record(change, row(SOURCE_ROW, i64(1), "db", None, "ddl", held)) for held in (arr(row("CREATE", "a")), arr(row("ALTER", "a"), row("DROP", "b")), arr(), None)] + events()
    for listed in ("CREATE", "alter, drop", "DATABASE", "", "zz"):
        cases.add("transform", f"{T}SchemaChangeEventFilter", {"schema.change.event.exclude.list": listed}, changes)
    cases.add("transform", f"{T}SchemaChangeEventFilter", {}, [])
    large = struct(["id", "INT32"], ["text", "STRING?"], ["raw", "BYTES?"], ["small", "STRING?"], name="t.Value")
    of = envelope(large, "t.Envelope")
    # The original takes BYTES as buffers only, which is how its connectors make them.
    values = [row(i32(1), "x" * 300, {"buffer": "01" * 200}, "y" * 20), row(i32(1), "ü\U0001f600" * 100, {"buffer": ""}, None), row(i32(1), None, None, None), row(i32(1), "abc", {"buffer": "616263"}, "abc")]
    inputs = [event("u", one, one, of) for one in values] + [event("c", None, values[0], of), event("d", values[0], None, of), record(large, values[0]), TOMBSTONE, record(None, "x" * 500), HEARTBEAT, record(None, pairs(("a", "x" * 500)))]
    for config in ({"max.bytes": "400", "min.field.size": "50"}, {"max.bytes": "400"}, {"max.bytes": "1000", "min.field.size": "10", "compression.ratio": "2.0"}, {"max.bytes": "1", "min.field.size": "1"}, {"max.bytes": "600", "min.field.size": "100", "compression.ratio": "0.5"}, {"max.bytes": "100000"}, {}, {"max.bytes": "0"}, {"max.bytes": "5", "compression.ratio": "x"}, {"max.bytes": "5", "min.field.size": "-1"}):
        cases.add("transform", f"{T}EnforceRecordSize", config, inputs)


def documents(cases):
    class_ = "io.debezium.connector.mongodb.transforms.ExtractNewDocumentState"
    json = semantic("STRING", "io.debezium.data.Json", optional=True)
    source = struct(["version", "STRING"], ["connector", "STRING"], ["name", "STRING"], ["ts_ms", "INT64"], ["db", "STRING"], ["collection", "STRING"], name="io.debezium.connector.mongo.Source")
    update = struct(["removedFields", array("STRING", optional=True)], ["updatedFields", json], ["truncatedArrays", array(struct(["field", "STRING"], ["size", "INT32"], name="io.debezium.connector.mongodb.changestream.truncatedarray", version=1), optional=True)], name="io.debezium.connector.mongodb.changestream.updatedescription", version=1, optional=True)
    of = struct(["before", json], ["after", json], ["updateDescription", update], ["source", source], ["op", "STRING?"], ["ts_ms", "INT64?"], ["transaction", TRANSACTION], name="m.db.c.Envelope")
    key = struct(["id", "STRING?"], name="m.db.c.Key")
    at = row("v", "mongodb", "m", i64(1), "db", "c")

    def one(op, after=None, before=None, change=None, id_="{\"$oid\":\"57e193d7a9cc81b4027498b5\"}"):
        return record(of, row(before, after, change, at, op, i64(5), None), key, row(id_), "m.db.c")

    full = "{\"_id\":{\"$oid\":\"57e193d7a9cc81b4027498b5\"},\"name\":\"Sally\",\"n\":1,\"l\":{\"$numberLong\":\"5\"},\"d\":1.5,\"b\":true,\"z\":null,\"a\":[1,2],\"o\":{\"x\":1,\"y\":{\"z\":\"q\"}},\"t\":{\"$date\":1700000000123},\"e\":[]}"
    inputs = [one("c", full), one("r", full), one("u", full, change=row(None, "{\"name\":\"X\"}", None)), one("d"), one("d", before=full), one("c", "{\"_id\":1,\"a\":[{\"x\":1},{\"y\":2}]}", id_="1"), one("c", "{\"_id\":\"k\",\"a\":[1,\"x\"]}", id_="\"k\""), record(key_schema=key, key=row("1"), topic="m.db.c"), HEARTBEAT, record(None, "x")]
    for config in ({}, {"array.encoding": "document"}, {"flatten.struct": "true"}, {"flatten.struct": "true", "flatten.struct.delimiter": "."}, {"add.fields": "op,ts_ms"}, {"delete.tombstone.handling.mode": "rewrite"}, {"delete.tombstone.handling.mode": "drop"}, {"delete.tombstone.handling.mode": "rewrite", "delete.tombstone.handling.mode.rewrite-with-id": "true"}, {"array.encoding": "zz"}):
        cases.add("transform", class_, config, inputs)


def cloud_events(cases):
    class_ = "io.debezium.converters.CloudEventsConverter"

    def part(one):
        return {"schema": one.get("valueSchema"), "value": one.get("value")}

    other = row("1", "oracle", *SOURCE_ROW["struct"][2:])
    inputs = [part(one) for one in events()] + [part(event("c", None, columns(), source=other)), part(event("c", None, columns(), topic="other")), part(event("c", None, columns(), of=envelope(COLUMNS, "a-b.1c.Envelope")))]
    for config in (
        {}, {"json.schemas.enable": "false"}, {"json.schemas.enable": "false", "json.decimal.format": "NUMERIC"}, {"json.decimal.format": "numeric"}, {"json.schemas.enable": "false", "extension.attributes.enable": "false"}, {"schema.cloudevents.name": "my.Name"}, {"schema.name.adjustment.mode": "none"}, {"json.replace.null.with.default": "false"},
        {"serializer.type": "JSON", "data.serializer.type": "json"}, {"metadata.source": "value"}, {"metadata.source": "value,id:generate,type:generate", "json.schemas.enable": "false"}, {"opentelemetry.tracing.attributes.enable": "true"},
    ):
        cases.add("write", class_, config, inputs)
    for bad in ({"serializer.type": "avro"}, {"data.serializer.type": "avro"}, {"data.serializer.type": "avro", "serializer.type": "avro"}, {"metadata.source": "generate"}, {"metadata.source": "value,id:value"}, {"metadata.source": "value,zz:header"}, {"metadata.source": "value,id:zz"}, {"extension.attributes.enable": "maybe"}):
        cases.add("write", class_, bad, inputs[:1])
    given = [["id", "STRING", "one"], ["type", "STRING", "t"], ["traceparent", "STRING", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"], ["dataSchemaName", "STRING", "my.Data"]]
    whole = [*given, ["source", SOURCE, SOURCE_ROW], ["op", "STRING", "c"], ["transaction", TRANSACTION, TRANSACTION_ROW]]
    unwrapped = part(record(COLUMNS, columns()))
    held = [{**inputs[1], "headers": given}, {**inputs[1], "headers": []}, {**unwrapped, "headers": whole}, {**unwrapped, "headers": whole[:-1]}, {**unwrapped, "headers": whole[:4]}, {**unwrapped, "headers": whole[4:]}]
    for config in (
        {"opentelemetry.tracing.attributes.enable": "true"}, {"metadata.source": "value,id:header,type:header"}, {"metadata.source": "value,id:header,type:generate,dataSchemaName:header", "schema.data.name.source.header.enable": "true"}, {"metadata.source": "header"}, {"metadata.source": "header,id:generate,type:generate,traceparent:header,dataSchemaName:generate"},
        {"metadata.source": "header", "schema.data.name.source.header.enable": "true", "opentelemetry.tracing.attributes.enable": "true", "json.schemas.enable": "false"},
    ):
        cases.add("write", class_, config, held)
    start = "{\"id\":\"i\",\"source\":\"/s\",\"specversion\":\"1.0\",\"type\":\"t\""
    inner = "{\"type\":\"struct\",\"fields\":[{\"type\":\"int32\",\"optional\":false,\"field\":\"a\"}],\"optional\":false}"
    texts = [
        start + ",\"data\":{\"a\":1}}", start + ",\"data\":{\"schema\":" + inner + ",\"payload\":{\"a\":1}}}", start + ",\"data\":{\"schema\":null,\"payload\":{\"a\":1}}}", start + ",\"data\":null}", start + ",\"data\":\"text\"}", start + ",\"data\":5,\"iodebeziumop\":\"c\",\"data\":6}",
        start + "}", "{\"id\":\"i\",\"data\":{}}", "5", "[]", "null", "{", "", None,
    ]
    for config in ({}, {"json.schemas.enable": "false"}, {"json.schemas.enable": "false", "json.decimal.format": "NUMERIC"}):
        cases.add("read", class_, config, texts)


def all_cases(cases, rng):
    cloud_events(cases)
    unwrap(cases)
    changed(cases)
    header_to_value(cases)
    logical_table_router(cases)
    event_router(cases)
    scripts(cases)
    partition_routing(cases)
    timezone_converter(cases)
    geometry(cases)
    vectors(cases)
    propagated(cases)
    logical_messages(cases)
    small_ones(cases)
    documents(cases)
