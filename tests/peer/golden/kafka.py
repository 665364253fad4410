"""Cases of Kafka's own transforms and predicates."""

import data as d
from data import NARROW, NARROW_MAP, NARROW_ROW, TOMBSTONE, WIDE, arr, array, date, dec, decimal, f32, f64, i8, i16, i32, i64, logical, mapping, optional, pairs, raw, record, row, schema, struct, swapped, usual, wide, wide_map

T = "org.apache.kafka.connect.transforms."
NESTED = struct(
    ["id", "INT32"],
    ["o", struct(["x", "STRING?"], ["y", struct(["z", schema("INT32", default=i32(5))], name="deep", optional=True)], name="o", optional=True)],
    ["list", array("INT32")],
    ["a.b", "STRING?"],
    name="n.Value",
)
NESTED_ROW = row(i32(1), row("x", row(None)), arr(i32(1)), "ab")


class Family:
    """Both classes of a transform: every case for $Value, some of the records for $Key too."""

    def __init__(self, cases, name):
        self.cases, self.name = cases, name

    def add(self, config, inputs):
        self.cases.add("transform", f"{T}{self.name}$Value", config, inputs)
        self.cases.add("transform", f"{T}{self.name}$Key", config, [swapped(one) for one in inputs[:2]])


def both_defaults(family, config, inputs):
    family.add(config, inputs)
    family.add({**config, "replace.null.with.default": "false"}, inputs[:3])


def cast(cases, rng):
    family = Family(cases, "Cast")
    types = ["int8", "int16", "int32", "int64", "float32", "float64", "boolean", "string"]
    castable = [name for name, _ in WIDE["fields"] if name not in ("list", "inner", "raw")]
    values = [
        wide(),
        wide(id=i32(-2**31), i64=i64(2**63 - 1), f32=f32("NaN"), f64=f64("1.0E20"), s="1.9", price=dec(-150, 2), b=False, day=date(0), at=date(0), ts=date(-1)),
        wide(id=i32(0), f32=f32("-Infinity"), f64=f64("-1.9"), s="true", kind="7", none="3"),
        wide(f32=f32("300.7"), f64=f64("70000.5"), s="-128", price=dec(10**30, 2)),
    ]
    for target in types:
        for name in castable:
            inputs = [record(WIDE, value) for value in values] if name in ("id", "i64", "f32", "f64", "s", "price") else [record(WIDE, values[0]), record(WIDE, values[1])]
            small = struct([name, dict(map(tuple, WIDE["fields"]))[name]], name="t", version=1, optional=True)
            index = [field for field, _ in WIDE["fields"]].index(name)
            inputs = [record(small, row(one["value"]["struct"][index])) for one in inputs]
            cases.add("transform", f"{T}Cast$Value", {"spec": f"{name}:{target}"}, inputs + [record(None, pairs((name, inputs[0]["value"]["struct"][0])))])
        texts = ["1", " 5 ", "5.0", "1e2", "300", "-1", "", "x", "true", "TRUE", "yes", "0x1", "1_0", "+7", "9223372036854775808", "NaN", "1f", "Infinity", "２"]
        inputs = [record("STRING?", text) for text in texts] + [record(None, text) for text in texts[:6]]
        inputs += [record(of, value) for of, value in zip(["INT8", "INT16", "INT32", "INT64", "FLOAT32", "FLOAT64", "BOOLEAN", decimal(2), logical(d.DATE), logical(d.TIME), logical(d.TIMESTAMP), "BYTES"], [i8(1), i16(2), i32(3), i64(4), f32("5.5"), f64("6.5"), True, dec(150, 2), date(d.DAY_MS), date(5), date(1_700_000_000_123), raw(b"\x01")])]
        family.add({"spec": target}, inputs)
    both_defaults(family, {"spec": "id:int64, kind:string,count:int8"}, [record(WIDE, wide()), record(optional(WIDE), wide()), record(None, wide_map()), *usual()])
    family.add({"spec": "zz:int8,id:string"}, usual())
    family.add({"spec": "inner:string"}, [record(WIDE, wide()), record(None, wide_map())])
    family.add({"spec": "list:string"}, [record(WIDE, wide()), record(None, wide_map())])
    family.add({"spec": "raw:string"}, [record(WIDE, wide()), record(None, wide_map())])
    family.add({"spec": "raw:int32"}, [record(WIDE, wide()), record(None, wide_map())])
    family.add({"spec": "s:INT8, i8 : String"}, [record(WIDE, wide(s="5")), record(None, wide_map(s="5"))])
    for spec in ("", "id:", ":int8", "id:foo", "foo", "id:bytes", "bytes", "a:b:c", "int8,int16", "id:int8,int16", "struct", "id:array", "id:int8,id:int16"):
        family.add({"spec": spec}, [record(NARROW, NARROW_ROW)])
    family.add({}, [])


def extract_field(cases):
    family = Family(cases, "ExtractField")
    for field in ("id", "name", "kind", "zz"):
        both_defaults(family, {"field": field}, usual())
    for version in ("V1", "V2", "v2"):
        for field in ("o", "o.x", "o.y.z", "a.b", "`a.b`", "o.zz", "zz.x", "o.x.y", "id.x", "", "o.", ".o", "`a", "a`b", "`a`b`", "`o`.x", "\\`a"):
            inputs = [record(NESTED, NESTED_ROW), record(NESTED, row(i32(1), None, arr(), None)), record(None, pairs(("o", pairs(("x", "m"), ("y", None))), ("a.b", i32(2)))), record(optional(NESTED), None), record()]
            cases.add("transform", f"{T}ExtractField$Value", {"field": field, "field.syntax.version": version}, inputs)
    family.add({"field": "id", "field.syntax.version": "V3"}, [])
    family.add({}, [])


def flatten(cases):
    family = Family(cases, "Flatten")
    inputs = [
        record(NESTED, NESTED_ROW),
        record(NESTED, row(i32(1), None, arr(), None)),
        record(optional(NESTED), NESTED_ROW),
        record(optional(NESTED), None),
        record(None, pairs(("o", pairs(("x", "m"), ("y", None), ("e", pairs()), ("l", arr(i32(1), pairs(("q", i32(1))))))), ("i", i64(1)), ("b", raw(b"\x01")))),
        record(None, pairs((i32(1), "x"))),
        record(None, pairs(("d", date(0)))),
        record(None, pairs(("d", dec(1, 1)))),
        record(WIDE, wide()),
        record(struct(["m", mapping("STRING", "INT32")]), row(pairs(("a", i32(1))))),
        record(struct(["o.x", "INT32"], ["o", struct(["x", "INT32"])]), row(i32(1), row(i32(2)))),
        record(struct(["o", struct(["x", "INT32"], optional=True, default=row(i32(8)))]), row(None)),
        record(struct(["o", struct(["x", schema("INT32", default=i32(3))], optional=True)]), row(None)),
        record(struct(["o", struct(["x", schema("INT32", default=i32(3), name="n", doc="d")])]), row(row(None))),
        *usual(),
    ]
    for config in ({}, {"delimiter": "_"}, {"delimiter": ""}, {"delimiter": "::"}):
        family.add(config, inputs)


def headers(cases):
    inputs = [record(NARROW, NARROW_ROW, headers=[["a", "STRING", "x"], ["b", None, i32(1)], ["a", "INT32", i32(2)], ["A", None, "y"]]), record(), record(None, "x", headers=[["b", "STRING?", None]])]
    for names in ("a", "a,b", " a , A ", "zz", "", "a,,b"):
        cases.add("transform", f"{T}DropHeaders", {"headers": names}, inputs)
    cases.add("transform", f"{T}DropHeaders", {}, [])
    for literal in ("5", "null", "text", "", "1.5", "true", "[1,2]", "{\"a\":1}", "2024-01-02", "128", " x ", "\"q\"", "a,b", "12:30"):
        cases.add("transform", f"{T}InsertHeader", {"header": "n", "value.literal": literal}, inputs[:2])
    for config in ({"header": "a"}, {"value.literal": "x"}, {"header": "", "value.literal": "x"}):
        cases.add("transform", f"{T}InsertHeader", config, inputs[:1])
    family = Family(cases, "HeaderFrom")
    for operation in ("move", "copy", "Move", ""):
        both_defaults(family, {"fields": "kind,id", "headers": "h1,h", "operation": operation}, usual())
    family.add({"fields": "zz", "headers": "h", "operation": "move"}, usual())
    family.add({"fields": "zz", "headers": "h", "operation": "copy"}, usual())
    family.add({"fields": "id,id", "headers": "h,i", "operation": "move"}, usual()[:3])
    family.add({"fields": "id", "headers": "h,i", "operation": "copy"}, usual()[:1])
    family.add({"fields": "", "headers": "h", "operation": "copy"}, usual()[:1])
    family.add({"fields": "id", "headers": "", "operation": "copy"}, usual()[:1])
    family.add({"fields": "id", "headers": "h"}, [])
    both_defaults(family, {"fields": "count,price,ts,inner", "headers": "a,b,c,d", "operation": "move"}, [record(WIDE, wide()), record(optional(WIDE), wide()), record(None, wide_map())])


def hoist_field(cases):
    family = Family(cases, "HoistField")
    family.add({"field": "w"}, usual() + [record("INT32", i32(1)), record(array("INT32"), arr()), record(NARROW, None)])
    family.add({"field": ""}, usual()[:2])
    family.add({}, [])


def insert_field(cases):
    family = Family(cases, "InsertField")
    sink = record(NARROW, NARROW_ROW, partition=3, offset=42, timestamp=1_700_000_000_123)
    inputs = [sink, {**sink, "valueSchema": optional(NARROW)}, {**sink, "valueSchema": None, "value": NARROW_MAP}, record(NARROW, NARROW_ROW), record(None, NARROW_MAP), record(optional(NARROW), None), record(), record("STRING", "x"), record(None, "x"), record(NARROW, NARROW_ROW, timestamp=5, partition=1)]
    fields = ("topic.field", "partition.field", "offset.field", "timestamp.field")
    for field in fields:
        for suffix in ("", "?", "!"):
            family.add({field: f"_x{suffix}"}, inputs)
    family.add({"static.field": "_s", "static.value": "v"}, inputs)
    family.add({"static.field": "_s!", "static.value": ""}, inputs[:4])
    everything = {field: f"_{index}" for index, field in enumerate(fields)}
    both_defaults(family, {"topic.field": "_t"}, [record(WIDE, wide())])
    both_defaults(family, {**everything, "static.field": "_s?", "static.value": "v"}, inputs)
    family.add({"topic.field": "id"}, inputs[:5])
    family.add({"topic.field": "a", "static.field": "a", "static.value": "v"}, inputs[:3])
    family.add({"topic.field": "kind!"}, inputs[:5])
    for config in ({}, {"static.field": "x"}, {"static.value": "x"}, {"topic.field": ""}, {"topic.field": "!"}, {"static.field": "a!!", "static.value": "v"}):
        family.add(config, inputs[:3])


def mask_field(cases):
    family = Family(cases, "MaskField")
    for name, of in WIDE["fields"]:
        index = [field for field, _ in WIDE["fields"]].index(name)
        small = struct(["id", "INT32"], [name, of]) if name != "id" else struct([name, of])
        members = [i32(1)] * (name != "id") + [wide()["struct"][index]]
        bare = pairs(("a", i32(1))) if name == "inner" else members[-1]
        inputs = [record(small, row(*members)), record(optional(small), row(*members)), record(None, pairs((name, bare)))]
        family.add({"fields": name}, inputs)
        for replacement in ("42", "x"):
            family.add({"fields": name, "replacement": replacement}, inputs)
    both_defaults(family, {"fields": "name,kind"}, usual())
    both_defaults(family, {"fields": "zz,id"}, usual())
    both_defaults(family, {"fields": "count,kind,none"}, [record(WIDE, wide()), record(WIDE, wide(kind="k", count=i32(1), none="n")), record(None, wide_map())])
    for replacement in ("-1", "1.5", "300", "1e3", " 7 ", "9223372036854775808", "true"):
        inputs = [record(WIDE, wide()), record(None, wide_map())]
        for field in ("i8", "i16", "id", "i64", "f32", "f64", "price", "s"):
            cases.add("transform", f"{T}MaskField$Value", {"fields": field, "replacement": replacement}, [record(struct([field, dict(map(tuple, WIDE["fields"]))[field]]), row(d.WIDE_VALUES[field]))])
    family.add({"fields": "m"}, [record(struct(["m", mapping("STRING", "INT32")]), row(pairs(("a", i32(1))))), record(None, pairs(("m", pairs(("a", i32(1))))))])
    for config in ({}, {"fields": ""}, {"fields": "id", "replacement": ""}):
        family.add(config, usual()[:1])


def regex_router(cases):
    topics = [record(topic=topic) for topic in ("t", "ab", "cdc.commerce.products", "a-b", "", "x1y22", "AB", "aXbXc")]
    for regex, replacement in (
        ("a|ab", "X"), (".*", "p-$0"), ("(.*)\\.(.*)\\.(.*)", "$3-$1"), ("(?<first>[a-z]+)-(?<second>.*)", "${second}.${first}"), ("(.*)", "\\$1"), ("t", ""), ("(.*)", "$3"), ("(.*)", "${zz}"), ("(.*)", "$"), ("(.*)", "a\\"),
        ("([a-z]+)([0-9]+)([a-z]+)([0-9]+)", "$4$3$2$1"), ("(?i)ab", "ci"), ("[^X]*X(.*)", "$1"), ("(a)(b)?.*", "[$2]"), ("a.b", "dot"), ("(.)(.)", "$12"), ("(?:a|ab)(?:b|)", "nc"), (".*?", "lazy"), ("\\w+", "w"), ("\\Qa-b\\E", "q"), ("[a-z&&[^t]]+", "minus"), ("(", "x"), ("a{2", "x"), ("", "e"), ("\\p{Upper}+", "up"),
        ("(?<n>a)\\k<n>|ab", "back"), ("a++b", "poss"), ("(?=ab)ab", "look"), ("(?<!x)t", "behind"),
    ):
        cases.add("transform", f"{T}RegexRouter", {"regex": regex, "replacement": replacement}, topics)
    for config in ({"regex": "a"}, {"replacement": "x"}, {}):
        cases.add("transform", f"{T}RegexRouter", config, [])


def replace_field(cases):
    family = Family(cases, "ReplaceField")
    for config in (
        {"exclude": "name"}, {"include": "id,kind"}, {"renames": "id:key"}, {"include": "id", "exclude": "id"}, {"include": "id,name", "exclude": "name", "renames": "id:x,kind:y"}, {"renames": "id:name"}, {"renames": "id:name,name:id"}, {"exclude": "id,name,kind"},
        {"include": "zz"}, {"renames": "zz:y"}, {}, {"exclude": "name", "renames": "id:name"}, {"whitelist": "id"}, {"blacklist": "id"}, {"blacklist": "id", "exclude": "name"}, {"include": "", "exclude": ""},
    ):
        both_defaults(family, config, usual())
    both_defaults(family, {"exclude": "id"}, [record(WIDE, wide()), record(None, wide_map())])
    for renames in ("i", "a:b:c", "a:", ":b", "a:b,a:c", ":"):
        family.add({"renames": renames}, usual()[:1])


def set_schema_metadata(cases):
    family = Family(cases, "SetSchemaMetadata")
    inputs = usual() + [record(array("INT32", name="a", doc="d", parameters=[["x", "y"]]), arr(i32(1))), record(mapping("STRING", "INT32"), pairs(("a", i32(1)))), record(schema("INT32", default=i32(1)), i32(2)), record(struct(["o", NARROW]), row(NARROW_ROW)), record(logical(d.TIMESTAMP), date(5))]
    inputs.insert(0, record(WIDE, wide()))
    for config in ({"schema.name": "n.N"}, {"schema.version": "7"}, {"schema.name": "n", "schema.version": "-1"}, {"schema.name": ""}):
        both_defaults(family, config, inputs)
    for config in ({}, {"schema.version": "x"}, {"schema.version": "1.5"}):
        family.add(config, inputs[:1])


def timestamp_converter(cases):
    family = Family(cases, "TimestampConverter")
    targets = ["string", "unix", "Date", "Time", "Timestamp"]
    instants = [0, 1, -1, 1_700_000_000_123, -62_135_596_800_000, 4_102_444_799_999]
    sources = {
        "ts": (logical(d.TIMESTAMP), [date(at) for at in instants]),
        "day": (logical(d.DATE), [date(0), date(19_000 * d.DAY_MS), date(-d.DAY_MS)]),
        "at": (logical(d.TIME), [date(0), date(36_000_500)]),
        "unix": ("INT64", [i64(at) for at in instants] + [i64(1_700_000_000_123_456_789), i64(-1_500)]),
        "micros": (d.semantic("INT64", "io.debezium.time.MicroTimestamp"), [i64(1_700_000_000_123_456)]),
        "text": ("STRING", ["2024-05-01 10:00:00.123", "2024-05-01 10:00:00.5", "2024-13-45 25:61:61.1", "2024-05-01", "x", "2024-05-01 10:00:00.123 trailing", " 2024-05-01 10:00:00.000"]),
        "int": ("INT32", [i32(1)]),
        "bytes": ("BYTES", [raw(b"\x01")]),
    }
    pattern = "yyyy-MM-dd HH:mm:ss.SSS"
    for target in targets:
        for field, (of, values) in sources.items():
            for precision in ("milliseconds",) if field in ("day", "at", "text", "bytes", "int") else ("seconds", "milliseconds", "microseconds", "nanoseconds"):
                config = {"field": field, "target.type": target, "format": pattern, "unix.precision": precision}
                holder = struct(["id", "INT32"], [field, of], name="t", version=1)
                inputs = [record(holder, row(i32(1), value)) for value in values]
                inputs += [record(struct([field, optional(of)], optional=True), row(None)), record(None, pairs((field, values[0]), ("k", i32(1))))]
                cases.add("transform", f"{T}TimestampConverter$Value", config, inputs)
        whole = [record(of, values[0]) for of, values in sources.values()] + [record(None, values[0]) for _, values in sources.values()] + [record(optional(logical(d.TIMESTAMP)), None), record("STRING?", None), record(), record(None, i32(1)), record(optional(NARROW), None)]
        family.add({"target.type": target, "format": pattern}, whole)
        both_defaults(family, {"field": "zz", "target.type": target, "format": pattern}, usual())
        both_defaults(family, {"field": "kind", "target.type": target, "format": "yyyy"}, usual())
        both_defaults(family, {"field": "ts", "target.type": target, "format": "yyyy"}, [record(WIDE, wide())])
    patterns = [
        "yyyy-MM-dd'T'HH:mm:ss.SSSXXX", "yy M d H:m:s.S", "EEE, d MMM yyyy HH:mm:ss Z", "EEEE MMMM", "hh:mm a", "kk KK", "D F w W u", "G yyyy", "yyyyMMddHHmmssSSS", "z", "X XX", "'quoted' ''", "yyyy-MM-dd'T'HH:mm:ss'Z'", "YYYY-ww", "SSSSSS", "y yyy yyyyy", "MM MMM L LLL", "h 'o''clock' a",
    ]
    for text in patterns:
        cases.add("transform", f"{T}TimestampConverter$Value", {"target.type": "string", "format": text}, [record(logical(d.TIMESTAMP), date(at)) for at in (1_700_000_000_123, 0, -1, 1_709_164_800_000, 1_735_689_599_999)])
    parses = [
        ("yyyy-MM-dd'T'HH:mm:ss.SSSXXX", ["2024-05-01T10:00:00.123+02:00", "2024-05-01T10:00:00.123Z", "2024-05-01T10:00:00.123"]),
        ("yyyy-MM-dd'T'HH:mm:ss'Z'", ["2024-05-01T10:00:00Z", "2024-05-01t10:00:00Z"]),
        ("yyyyMMdd", ["20240501", "2024051", "202405011"]),
        ("yy-M-d", ["24-5-1", "2024-5-1", "99-12-31", "7-5-1"]),
        ("d MMM yyyy", ["1 May 2024", "1 may 2024", "31 December 2024", "1 Mai 2024"]),
        ("EEE d MMM yyyy", ["Wed 1 May 2024", "Mon 1 May 2024"]),
        ("hh:mm a", ["12:30 AM", "12:30 PM", "1:05 pm", "13:00 AM"]),
        ("yyyy-MM-dd HH:mm:ss Z", ["2024-05-01 10:00:00 +0200", "2024-05-01 10:00:00 UTC", "2024-05-01 10:00:00 GMT+3"]),
        ("yyyy", ["2024", "-5", "+5", "12345", "0"]),
        ("HH:mm:ss.SSS", ["10:00:00.5", "10:00:00.1234", "-1:00:00.0"]),
        ("D yyyy", ["60 2024", "400 2024"]),
        ("yyyy-MM-dd", ["2024-05-01", "2024-5-1", "2024-05-01T10:00", "2024--1-01", ""]),
    ]
    for text, values in parses:
        cases.add("transform", f"{T}TimestampConverter$Value", {"target.type": "unix", "format": text}, [record("STRING", value) for value in values])
    for config in ({}, {"target.type": "date"}, {"target.type": "string"}, {"target.type": "unix", "unix.precision": "hours"}, {"target.type": "string", "format": "yyyy-bb"}, {"target.type": "Timestamp", "format": "'"}, {"target.type": "unix", "format": ""}):
        family.add(config, [record("STRING", "2024"), record(logical(d.TIMESTAMP), date(0))])


def timestamp_router(cases):
    inputs = [record(None, "x", topic="orders", timestamp=at) for at in (1_700_000_000_123, 0, -1, 253_402_300_800_000)] + [record(None, "x")]
    for config in ({}, {"topic.format": "${timestamp}/${topic}", "timestamp.format": "yyyy/MM/dd"}, {"topic.format": "fixed"}, {"topic.format": "${topic}-${topic}"}, {"timestamp.format": "HH"}, {"timestamp.format": "'"}, {"timestamp.format": "b"}, {"topic.format": "$topic ${timestamp}", "timestamp.format": "yyyy-'${topic}'"}):
        cases.add("transform", f"{T}TimestampRouter", config, inputs)


def value_to_key(cases):
    for config in ({"fields": "id"}, {"fields": "kind,id"}, {"fields": "zz"}, {"fields": "id,id"}, {"fields": "id, name", "replace.null.with.default": "false"}, {"fields": "kind", "replace.null.with.default": "false"}, {"fields": ""}, {}):
        cases.add("transform", f"{T}ValueToKey", config, usual())
    for default in ("true", "false"):
        cases.add("transform", f"{T}ValueToKey", {"fields": "count,price,inner", "replace.null.with.default": default}, [record(WIDE, wide()), record(None, wide_map())])
    cases.add("transform", f"{T}Filter", {}, usual()[:2])


def predicates(cases):
    P = f"{T}predicates."
    inputs = [record(NARROW, NARROW_ROW, headers=[["h", None, None]]), record(), record(optional(NARROW), None), record(topic="ab", headers=[["H", "STRING", "x"]]), record(topic="")]
    for config in ({"name": "h"}, {"name": "H"}, {"name": ""}, {}):
        cases.add("predicate", f"{P}HasHeaderKey", config, inputs)
    cases.add("predicate", f"{P}RecordIsTombstone", {}, inputs)
    for config in ({"pattern": "t"}, {"pattern": "a"}, {"pattern": "a.*|t"}, {"pattern": ""}, {"pattern": "("}, {}):
        cases.add("predicate", f"{P}TopicNameMatches", config, inputs)


def all_cases(cases, rng):
    cast(cases, rng)
    extract_field(cases)
    flatten(cases)
    headers(cases)
    hoist_field(cases)
    insert_field(cases)
    mask_field(cases)
    regex_router(cases)
    replace_field(cases)
    set_schema_metadata(cases)
    timestamp_converter(cases)
    timestamp_router(cases)
    value_to_key(cases)
    predicates(cases)
