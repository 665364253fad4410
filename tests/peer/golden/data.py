"""Schemas, values and records in the form that Driver.java reads, made by hand or from a seed."""

import json

DECIMAL = "org.apache.kafka.connect.data.Decimal"
DATE = "org.apache.kafka.connect.data.Date"
TIME = "org.apache.kafka.connect.data.Time"
TIMESTAMP = "org.apache.kafka.connect.data.Timestamp"
DAY_MS = 86_400_000


def schema(type_, **attributes):
    return {"type": type_, **attributes}


def struct(*fields, **attributes):
    return schema("STRUCT", fields=[list(field) for field in fields], **attributes)


def array(items, **attributes):
    return schema("ARRAY", values=items, **attributes)


def mapping(keys, values, **attributes):
    return schema("MAP", keys=keys, values=values, **attributes)


def decimal(scale, **attributes):
    return schema("BYTES", name=DECIMAL, version=1, parameters=[["scale", str(scale)]], **attributes)


def logical(name, **attributes):
    return schema("INT64" if name == TIMESTAMP else "INT32", name=name, version=1, **attributes)


def semantic(type_, name, **attributes):
    return schema(type_, name=name, version=1, **attributes)


def optional(of):
    if isinstance(of, str):
        return of if of.endswith("?") else of + "?"
    return {**of, "optional": True}


def i8(number):
    return {"i8": number}


def i16(number):
    return {"i16": number}


def i32(number):
    return {"i32": number}


def i64(number):
    return {"i64": number}


def f32(text):
    return {"f32": str(text)}


def f64(text):
    return {"f64": str(text)}


def raw(data):
    return {"bytes": data.hex()}


def dec(unscaled, scale):
    return {"decimal": [str(unscaled), scale]}


def date(millis):
    return {"date": millis}


def arr(*items):
    return {"array": list(items)}


def pairs(*entries):
    return {"map": [list(entry) for entry in entries]}


def row(*members, of=None):
    return {"struct": list(members), **({"schema": of} if of is not None else {})}


def record(value_schema=None, value=None, key_schema=None, key=None, topic="t", **rest):
    given = {"topic": topic, **rest}
    for name, part in (("keySchema", key_schema), ("key", key), ("valueSchema", value_schema), ("value", value)):
        if part is not None:
            given[name] = part
    return given


def swapped(given):
    """The record with key and value changed over, for the $Key classes."""
    names = {"keySchema": "valueSchema", "key": "value", "valueSchema": "keySchema", "value": "key"}
    return {names.get(name, name): part for name, part in given.items()}


# A row with every type, and the same as a map.
WIDE = struct(
    ["id", "INT32"],
    ["i8", "INT8"],
    ["i16", "INT16"],
    ["i64", "INT64"],
    ["f32", "FLOAT32"],
    ["f64", "FLOAT64"],
    ["b", "BOOLEAN"],
    ["s", "STRING"],
    ["raw", "BYTES"],
    ["price", decimal(2)],
    ["day", logical(DATE)],
    ["at", logical(TIME)],
    ["ts", logical(TIMESTAMP)],
    ["micros", semantic("INT64", "io.debezium.time.MicroTimestamp")],
    ["none", "STRING?"],
    ["kind", schema("STRING", optional=True, default="n/a")],
    ["count", schema("INT32", default=i32(7))],
    ["list", array("STRING")],
    ["inner", struct(["a", "INT32"], ["b", "STRING?"], name="inner")],
    name="t.Value",
    version=3,
    doc="a row",
    parameters=[["p", "q"], ["o", "r"]],
)
WIDE_VALUES = {
    "id": i32(300),
    "i8": i8(-5),
    "i16": i16(1000),
    "i64": i64(9_007_199_254_740_993),
    "f32": f32("1.5"),
    "f64": f64("-2.75E10"),
    "b": True,
    "s": "42",
    "raw": raw(b"\x00\xff"),
    "price": dec(1999, 2),
    "day": date(19_000 * DAY_MS),
    "at": date(36_000_500),
    "ts": date(1_700_000_000_123),
    "micros": i64(1_700_000_000_123_456),
    "none": None,
    "kind": None,
    "count": None,
    "list": arr("a", "b"),
    "inner": row(i32(1), None),
}


def wide(**changes):
    values = {**WIDE_VALUES, **changes}
    return row(*(values[name] for name, _ in WIDE["fields"]))


def wide_map(**changes):
    values = {**WIDE_VALUES, "inner": pairs(("a", i32(1)), ("b", None)), **changes}
    return pairs(*values.items())


# A narrow row for what does not depend on types.
NARROW = struct(
    ["id", "INT32"],
    ["name", "STRING?"],
    ["kind", schema("STRING", optional=True, default="n/a")],
    name="t.Value",
    version=2,
)
NARROW_ROW = row(i32(1), "a", None)
NARROW_MAP = pairs(("id", i32(1)), ("name", "a"), ("kind", None))
TOMBSTONE = record(key_schema="INT32", key=i32(1))


def usual(value_schema=NARROW, value=NARROW_ROW, map_=NARROW_MAP):
    """The records that every transform of a part meets: a row, a map, nulls, and what is neither."""
    return [
        record(value_schema, value, "STRING", "k", timestamp=1_700_000_000_123, headers=[["h", "STRING", "x"]]),
        record(optional(value_schema), value),
        record(None, map_),
        record(optional(value_schema), None),
        record(),
        record("STRING", "text"),
        record(None, "text"),
        record(optional("INT64"), i64(5), partition=3, offset=9, timestamp=5),
    ]


# From a seed.

TEXTS = ["", "a", "quote\"back\\", "tab\tline\n", "\u0001\u001f\u007f", "über", "\u2028</", "\U0001f600", "null", "1", "2024-01-02"]
DOUBLES = ["0.0", "-0.0", "1.0", "0.1", "1.0E7", "9999999.0", "1.0E-4", "0.001", "123456.789", "1.7976931348623157E308", "4.9E-324", "NaN", "Infinity", "-Infinity", "1.0E21", "3.141592653589793"]
FLOATS = ["0.0", "-0.0", "1.0", "0.1", "1.0E7", "3.4028235E38", "1.4E-45", "NaN", "-Infinity", "16777216", "0.3333333"]
INTEGERS = {"INT8": 8, "INT16": 16, "INT32": 32, "INT64": 64}
TAGS = {"INT8": "i8", "INT16": "i16", "INT32": "i32", "INT64": "i64"}


def random_scalar_schema(rng):
    kind = rng.choice(["INT8", "INT16", "INT32", "INT64", "FLOAT32", "FLOAT64", "BOOLEAN", "STRING", "BYTES", DECIMAL, DATE, TIME, TIMESTAMP])
    if kind == DECIMAL:
        return decimal(rng.randint(-2, 6))
    if "." in kind:
        return logical(kind)
    return schema(kind)


def random_schema(rng, depth=2):
    choice = rng.random()
    if depth == 0 or choice < 0.55:
        of = random_scalar_schema(rng)
    elif choice < 0.7:
        of = array(random_schema(rng, depth - 1))
    elif choice < 0.85:
        keys = rng.choice(["STRING", "STRING", "STRING?", "INT32", "INT64?"])
        of = mapping(keys, random_schema(rng, depth - 1))
    else:
        of = random_struct(rng, depth - 1)
    if rng.random() < 0.4:
        of["optional"] = True
    if "name" not in of and rng.random() < 0.2:
        of["name"] = rng.choice(["n", "a.b.C", "io.debezium.data.Json", "x y"])
    if rng.random() < 0.1:
        of["version"] = rng.randint(1, 9)
    if rng.random() < 0.1:
        of["doc"] = rng.choice(TEXTS[1:])
    if rng.random() < 0.1:
        of["parameters"] = of.get("parameters", []) + [["length", "3"], ["a\"b", "ü"]]
    if rng.random() < 0.2 and of["type"] != "STRUCT":
        of["default"] = random_value(rng, {**of, "optional": False})
    return of


def random_struct(rng, depth):
    names = rng.sample(["id", "name", "a", "b", "ü", "with space", "q\"", "price", "ts", "x.y"], rng.randint(1, 5))
    return struct(*([name, random_schema(rng, depth)] for name in names))


def random_value(rng, of, member=False):
    """A value of the schema; what a struct's member may leave to its default, only there."""
    if isinstance(of, str):
        of = {"type": of.rstrip("?"), "optional": of.endswith("?")}
    if of.get("optional") and rng.random() < 0.25:
        return None
    if member and "default" in of and rng.random() < 0.3:
        return None
    kind, name = of["type"], of.get("name")
    if name == DECIMAL:
        scale = int(dict(of["parameters"])["scale"])
        return dec(rng.choice([0, 5, -5, 127, 128, -128, -129, 1999, 10**20, -(10**20), rng.getrandbits(80)]), scale)
    if name == DATE:
        return date(rng.choice([0, 1, -1, 19_844, -719_162, 100_000]) * DAY_MS)
    if name == TIME:
        return date(rng.choice([0, 1, 36_000_500, 86_399_999]))
    if name == TIMESTAMP:
        return date(rng.choice([0, 1, -1, 1_700_000_000_123, -62_135_596_800_000]))
    if kind in INTEGERS:
        bits = INTEGERS[kind]
        low, high = -(1 << (bits - 1)), (1 << (bits - 1)) - 1
        return {TAGS[kind]: rng.choice([0, 1, -1, low, high, rng.randint(low, high)])}
    if kind == "FLOAT32":
        return f32(rng.choice(FLOATS))
    if kind == "FLOAT64":
        return f64(rng.choice(DOUBLES + [repr(rng.uniform(-1e9, 1e9))]))
    if kind == "BOOLEAN":
        return rng.random() < 0.5
    if kind == "STRING":
        return rng.choice(TEXTS)
    if kind == "BYTES":
        return raw(rng.randbytes(rng.choice([0, 1, 2, 3, 17])))
    if kind == "ARRAY":
        return arr(*(random_value(rng, of["values"]) for _ in range(rng.randint(0, 3))))
    if kind == "MAP":
        entries = {}
        for _ in range(rng.randint(0, 3)):
            # A null key would be the text null, and might stand twice.
            key = random_value(rng, of["keys"].rstrip("?"))
            entries[json.dumps(key)] = (key, random_value(rng, of["values"]))
        return pairs(*entries.values())
    return row(*(random_value(rng, member, True) for _, member in of["fields"]))
