"""Cases of the converters, of the header converter and of schema projection."""

import itertools

import data as d
from data import arr, array, date, dec, decimal, f32, f64, i8, i16, i32, i64, logical, mapping, pairs, raw, row, schema, struct

JSON = "org.apache.kafka.connect.json.JsonConverter"
STRING = "org.apache.kafka.connect.storage.StringConverter"
HEADER = "org.apache.kafka.connect.storage.SimpleHeaderConverter"
OTHERS = "org.apache.kafka.connect.converters."


def part(of, value):
    return {"schema": of, "value": value}


ONE_OF_EACH = [
    (None, None),
    ("STRING?", None),
    ("STRING", None),
    ("INT32?", None),
    (schema("INT32", default=i32(3)), None),
    (schema("INT32", optional=True, default=i32(3)), None),
    (schema("INT8", doc="x", default=i8(3)), i8(1)),
    ("INT16", i16(-3)),
    ("INT32", i32(2**31 - 1)),
    ("INT64", i64(-(2**63))),
    ("FLOAT32", f32("3.4028235E38")),
    ("FLOAT64", f64("1.0E-4")),
    ("FLOAT64", f64("NaN")),
    ("FLOAT64", f64("2.0E-3")),
    ("BOOLEAN", True),
    ("STRING", "quote\" back\\ / tab\t \u0001 ü \u2028 \U0001f600"),
    ("BYTES", raw(b"\xfb\xff\xbf")),
    ("BYTES", {"buffer": "fbff"}),
    ("BYTES?", raw(b"")),
    (decimal(4), dec(102345, 4)),
    (decimal(2), dec(150, 2)),
    (decimal(2), dec(15, 1)),
    (decimal(-3), dec(1, -3)),
    (decimal(10), dec(1, 10)),
    (decimal(0), dec(-128, 0)),
    (schema("BYTES", name=d.DECIMAL), dec(1, 0)),
    (schema("BYTES", name=d.DECIMAL, parameters=[["scale", "x"]]), dec(1, 0)),
    (logical(d.DATE), date(d.DAY_MS)),
    (logical(d.TIME), date(86_400_000)),
    (logical(d.TIME), date(86_400_001)),
    (logical(d.TIME), date(-1)),
    (logical(d.TIMESTAMP), date(1_700_000_000_123)),
    (d.semantic("INT32", "io.debezium.time.Date"), i32(19_000)),
    (array("INT32?"), arr(i32(1), None)),
    (array("INT32"), arr(i32(1), None)),
    (mapping("STRING", "INT32"), pairs(("k", i32(1)), ("l", i32(2)))),
    (mapping("STRING?", "INT32?"), pairs((None, i32(1)), ("l", None))),
    (mapping("INT32", "STRING"), pairs((i32(5), "x"))),
    (mapping("STRING", array(mapping("STRING", "INT8"))), pairs(("k", arr(pairs(("x", i8(1))))))),
    (struct(["x", "INT8?"], name="n", version=3, doc="d", parameters=[["p", "q"]], optional=True), row(None)),
    (struct(["x", schema("STRING", default="dx")], ["y", schema("STRING", optional=True, default="dy")]), row(None, None)),
    (struct(), row()),
    (struct(["x", "STRING"]), row(None)),
    (None, "text"),
    (None, i8(1)),
    (None, i64(1)),
    (None, f32("1.5")),
    (None, f64("-0.0")),
    (None, False),
    (None, raw(b"\x01")),
    (None, arr(i32(1), "a", None, arr())),
    (None, pairs(("a", i32(1)), ("b", pairs(("c", None))))),
    (None, pairs((i32(1), "x"), ("a", "y"))),
    (None, dec(1, 0)),
    (None, date(0)),
    (None, row(i32(1), of=struct(["x", "INT32"]))),
    # The value is of another type than its schema.
    ("FLOAT64", True),
    ("INT32", i64(1)),
    ("STRING", i32(1)),
    ("BYTES", "text"),
    ("BOOLEAN", "true"),
    (array("INT32"), "text"),
    (mapping("STRING", "INT32"), "text"),
    (struct(["x", "INT32"]), "text"),
    (struct(["x", "INT32"]), row(i32(1), of=struct(["y", "INT32"]))),
    (decimal(2), i32(1)),
    (logical(d.DATE), i32(1)),
    (logical(d.TIME), "x"),
    (logical(d.TIMESTAMP), i64(1)),
]

TEXT_IN_JSON = [
    None,
    "",
    " ",
    "{",
    "nul",
    "null",
    "true",
    " 1 2",
    "007",
    "98765432109876543211",
    "-9223372036854775808",
    "9223372036854775808",
    "1.5",
    "1e3",
    "1E400",
    "-0",
    "-0.0",
    "\"text\"",
    "\"\\ud83d\\ude00 \\u00fc \\/ \\b\\f\\n\\r\\t\"",
    "\"\\ud83d\"",
    "\"raw ü\"",
    "[1,\"a\",null,{\"b\":[]}]",
    "{\"a\":1,\"b\":{\"c\":null},\"a\":2}",
    "{}",
    "{\"schema\":null,\"payload\":{\"a\":1}}",
    "{\"payload\":5,\"schema\":{\"type\":\"int32\"}}",
    "{\"schema\":{\"type\":\"int32\"},\"payload\":5,\"more\":1}",
    "{\"schema\":{\"type\":\"int32\"}}",
    "{\"schema\":{},\"payload\":5}",
    "{\"schema\":{\"type\":null},\"payload\":5}",
    "{\"schema\":5,\"payload\":5}",
    "[1,]",
    "{\"a\":}",
    "{'a':1}",
    "{a:1}",
    "NaN",
    "+1",
    ".5",
    "1.",
    "// c\n1",
    "[1 2]",
    "\"tab\there\"",
    {"hex": "ff"},
    {"hex": "22ff22"},
    {"hex": "efbbbf31"},
]


def json_envelopes():
    """Every schema type with payloads that fit and payloads that do not."""
    payloads = ["null", "true", "5", "-1", "300", "12.9", "1e2", "\"12\"", "\"true\"", "\"AY/J\"", "\"!\"", "[]", "[1,\"x\"]", "{}", "{\"a\":1}", "[[5,1]]", "[[5]]", "[5]", "\"NaN\"", "98765432109876543211", "1.5", "86400001"]
    schemas = [
        "{\"type\":\"boolean\"}",
        "{\"type\":\"int8\",\"optional\":true}",
        "{\"type\":\"int16\"}",
        "{\"type\":\"int32\",\"optional\":false}",
        "{\"type\":\"int32\",\"optional\":true,\"default\":7}",
        "{\"type\":\"int64\"}",
        "{\"type\":\"float\"}",
        "{\"type\":\"double\",\"optional\":true,\"default\":1.5}",
        "{\"type\":\"string\",\"name\":\"n\",\"version\":2,\"doc\":\"d\",\"parameters\":{\"a\":\"b\",\"c\":\"d\"}}",
        "{\"type\":\"bytes\"}",
        "{\"type\":\"array\",\"items\":{\"type\":\"int8\"}}",
        "{\"type\":\"map\",\"keys\":{\"type\":\"string\"},\"values\":{\"type\":\"int32\"}}",
        "{\"type\":\"map\",\"keys\":{\"type\":\"int32\"},\"values\":{\"type\":\"int32\",\"optional\":true}}",
        "{\"type\":\"struct\",\"fields\":[{\"type\":\"int32\",\"field\":\"a\",\"optional\":true}]}",
        "{\"type\":\"struct\",\"fields\":[{\"type\":\"int32\",\"field\":\"b\"}],\"name\":\"s\"}",
        "{\"type\":\"bytes\",\"name\":\"org.apache.kafka.connect.data.Decimal\",\"version\":1,\"parameters\":{\"scale\":\"4\"}}",
        "{\"type\":\"int32\",\"name\":\"org.apache.kafka.connect.data.Date\",\"version\":1}",
        "{\"type\":\"int32\",\"name\":\"org.apache.kafka.connect.data.Time\",\"version\":1}",
        "{\"type\":\"int64\",\"name\":\"org.apache.kafka.connect.data.Timestamp\",\"version\":1}",
    ]
    for of, payload in itertools.product(schemas, payloads):
        yield f"{{\"schema\":{of},\"payload\":{payload}}}"


BAD_SCHEMAS = [
    "{\"type\":\"float32\"}",
    "{\"type\":\"foo\"}",
    "{\"optional\":true}",
    "{\"type\":\"array\"}",
    "{\"type\":\"map\",\"values\":{\"type\":\"int8\"}}",
    "{\"type\":\"map\",\"keys\":{\"type\":\"int8\"}}",
    "{\"type\":\"struct\"}",
    "{\"type\":\"struct\",\"fields\":{}}",
    "{\"type\":\"struct\",\"fields\":[{\"type\":\"int8\"}]}",
    "{\"type\":\"struct\",\"fields\":[{\"type\":\"int8\",\"field\":5}]}",
    "{\"type\":\"struct\",\"fields\":[{\"type\":\"int8\",\"field\":\"a\"},{\"type\":\"int8\",\"field\":\"a\"}]}",
    "{\"type\":\"string\",\"parameters\":{\"a\":1}}",
    "{\"type\":\"string\",\"parameters\":[]}",
    "{\"type\":\"string\",\"version\":\"1\"}",
    "{\"type\":\"string\",\"version\":1.5}",
    "{\"type\":\"string\",\"name\":5}",
    "{\"type\":\"string\",\"doc\":null}",
    "{\"type\":\"string\",\"optional\":\"true\"}",
    "{\"type\":\"int8\",\"default\":\"x\"}",
    "{\"type\":\"int8\",\"default\":null}",
    "{\"type\":\"bytes\",\"name\":\"org.apache.kafka.connect.data.Decimal\"}",
    "{\"type\":\"bytes\",\"name\":\"org.apache.kafka.connect.data.Decimal\",\"parameters\":{\"scale\":\"x\"}}",
]


def json(cases, rng):
    switches = itertools.product(["true", "false"], ["BASE64", "numeric"], ["true", "false"])
    for enable, form, default in switches:
        config = {"schemas.enable": enable, "decimal.format": form, "replace.null.with.default": default}
        fixed = [part(*each) for each in ONE_OF_EACH]
        drawn = []
        for _ in range(25):
            of = d.random_struct(rng, 2)
            drawn.append(part(of, d.random_value(rng, of)))
        cases.add("write", JSON, config, fixed + drawn)
    cases.add("write", JSON, {}, [part(*each) for each in ONE_OF_EACH[:12]], key=True)
    cases.add("read", JSON, {"schemas.enable": "false"}, TEXT_IN_JSON)
    cases.add("read", JSON, {"schemas.enable": "true"}, TEXT_IN_JSON)
    cases.add("read", JSON, {}, list(json_envelopes()))
    cases.add("read", JSON, {"replace.null.with.default": "false", "decimal.format": "NUMERIC"}, [text for text in json_envelopes() if "default" in text or "Decimal" in text])
    cases.add("read", JSON, {}, [f"{{\"schema\":{of},\"payload\":null}}" for of in BAD_SCHEMAS])
    # schema.content is of Kafka 4.2: this original has no such key.
    for config in ({"decimal.format": "hex"}, {"schemas.cache.size": "x"}, {"schemas.cache.size": "0"}, {"schemas.enable": "maybe"}, {"converter.type": "both"}):
        cases.add("read", JSON, config, ["{}"])
    cases.add("header-write", JSON, {"schemas.enable": "false"}, [part(*each) for each in ONE_OF_EACH[:20]])
    cases.add("header-read", JSON, {"schemas.enable": "false"}, TEXT_IN_JSON[:12])


BYTES_IN = [None, {"hex": ""}, {"hex": "00"}, {"hex": "01"}, {"hex": "02"}, {"hex": "0102"}, {"hex": "ff80"}, {"hex": "7fffffff"}, {"hex": "3fc00000"}, {"hex": "0102030405060708"}, {"hex": "7ff8000000000000"}, {"hex": "010203"}, "text", {"hex": "c3bc"}, {"hex": "ff61c328"}]


def simple(cases, rng):
    inputs = [part(*each) for each in ONE_OF_EACH]
    # Where Java shows the address of an object, there is nothing to compare.
    texts = [one for one in inputs if not holds_bytes(one["value"])]
    cases.add("write", STRING, {}, texts)
    cases.add("read", STRING, {}, BYTES_IN)
    for encoding in ("ISO-8859-1", "US-ASCII", "utf8"):
        cases.add("write", STRING, {"converter.encoding": encoding}, [part("STRING", text) for text in d.TEXTS])
        cases.add("read", STRING, {"converter.encoding": encoding}, BYTES_IN)
    cases.add("read", STRING, {"converter.encoding": "nope"}, [])
    cases.add("header-write", STRING, {}, texts[:20])
    cases.add("header-read", STRING, {}, BYTES_IN)
    for name in ("ByteArray", "Boolean", "Short", "Integer", "Long", "Float", "Double"):
        class_ = f"{OTHERS}{name}Converter"
        cases.add("write", class_, {}, inputs)
        cases.add("read", class_, {}, BYTES_IN)
        cases.add("header-write", class_, {}, inputs[:16])
        cases.add("header-read", class_, {}, BYTES_IN)
    extremes = [i16(-32768), i32(-(2**31)), i64(2**63 - 1), f32("NaN"), f32("-0.0"), f64("4.9E-324"), f64("-Infinity")]
    for name in ("Short", "Integer", "Long", "Float", "Double"):
        cases.add("write", f"{OTHERS}{name}Converter", {}, [part(None, one) for one in extremes])
    drawn = []
    for _ in range(60):
        of = d.random_struct(rng, 2)
        value = d.random_value(rng, of)
        if not holds_bytes(value):
            drawn.append(part(of, value))
    cases.add("write", STRING, {}, drawn)


def holds_bytes(value):
    if isinstance(value, dict):
        return bool({"bytes", "buffer"} & set(value)) or any(holds_bytes(held) for held in value.values())
    return isinstance(value, list) and any(holds_bytes(held) for held in value)


HEADER_TEXTS = [
    "", " ", " x ", "null", " null ", "true", " true ", "false", "TRUE", "True", "1", "-5", "+5", "127", "128", "-129", "32767", "32768", "2147483648", "9223372036854775807",
    "9223372036854775808", "1.0", "1e3", "1E3", "3.14", "3.141592653589793", "1.1e39", "1e400", "-0", "-0.0", "0x10", "1_000", "1L", "1f", "1d", ".5", "5.", "1e", "NaN", "Infinity",
    "2024-01-02", "2024-13-45", "2024-1-2", "24-01-02", "10:00:00.000Z", "25:61:61.000Z", "10:00:00Z", "2024-01-02T10:00:00.000Z", "2024-01-02T10:00:00Z", "2024-01-02T10:00:00.000+01:00",
    "12:30", "1,2", "1 2", "a:b", "\\:", "a\\,b", "[1,2]", "[1,2.5]", "[1,128,32768]", "[1, \"a\"]", "[]", "[ ]", "[null]", "[1,null]", "[1 ,null]", "[1,]", "[,1]", "[1,,2]", "[\"2024-01-02\"]", "[\"1\"]",
    "[true,false]", "[[1],[2]]", "[[1],[\"a\"]]", "[{}]", "{\"a\":1}", "{\"a\":1,\"b\":2.5}", "{\"a\":1,\"b\":\"x\"}", "{}", "{ }", "{a:1}", "{\"a\":}", "{\"a\"}", "{\"a\":null}", "{1:2}", "{\"1\":\"2\"}", "{true:1}",
    "{\"a\":[1,2],\"b\":{}}", "{\"a\":1,}", "{,\"a\":1}", "[foo]", "[1", "{\"a\":1", "]", "}", "\"quoted\"", "\"a\\\"b\"", "[\"a\\\"b\\\\\"]", "[\"a,b\"]", "[\"a:b\"]", "[\"\"]", "[\" x \"]", "\"", "[\"", "[1] x", "{} x",
    "true x", "[true x]", "[1 2]", "{\"a\" : 1 , \"b\" : 2}", " [1] ", " {\"a\":1} ", "[ 1 , 2 ]", "ü", "\U0001f600", "[\"ü\"]", "-", "+", "--1", "1-1", "1e-3", "[1e3,1e-3]", "[9223372036854775808]", "\t1\n", "{\"a\":1}{", "[1][2]",
    "[12:30:00.000Z]", "{\"k\":10:00:00.000Z}", "[2024-01-02]", "[2024-01-02,2024-01-03]", "[\"2024-01-02\",1]", "[1,\"2024-01-02\"]", "[\"a\",\"b\"]", "{\"a\":\"b\",\"c\":\"d\"}", "{\"a\":true,\"b\":false}", "[1,true]", "[{\"a\":1},{\"b\":2}]",
]
FRAGMENTS = ["1", "2.5", "true", "null", "\"a\"", "\"1\"", "[", "]", "{", "}", ",", ":", " ", "\\", "\"", "a", "-", "2024-01-02", "128", "x y", "1e3"]


def headers(cases, rng):
    cases.add("header-read", HEADER, {}, [None, {"hex": "ff"}, {"hex": "61ff62"}] + HEADER_TEXTS)
    drawn = ["".join(rng.choice(FRAGMENTS) for _ in range(rng.randint(1, 7))) for _ in range(400)]
    drawn += ["[" + ",".join(rng.choice(FRAGMENTS) for _ in range(rng.randint(1, 4))) + "]" for _ in range(100)]
    drawn += ["{" + ",".join(f"{rng.choice(FRAGMENTS)}:{rng.choice(FRAGMENTS)}" for _ in range(rng.randint(1, 3))) + "}" for _ in range(100)]
    cases.add("header-read", HEADER, {}, sorted(set(drawn)))
    written = [part(*each) for each in ONE_OF_EACH]
    written += [part(None, date(millis)) for millis in (-1, 0, 1, 86_399_999, 86_400_000, 86_400_001, 1_700_000_000_123, 253_402_300_800_000)]
    written += [part(None, arr("a\"b\\", i32(1), None, f64("1.5"), True, raw(b"\x00"), dec(1, -3))), part(None, pairs(("k", arr(i32(1))), (i32(2), "x")))]
    for _ in range(60):
        of = d.random_struct(rng, 2)
        written.append(part(of, d.random_value(rng, of)))
    cases.add("header-write", HEADER, {}, written)


def projection(cases, rng):
    numbers = ["INT8", "INT16", "INT32", "INT64", "FLOAT32", "FLOAT64"]
    one = {"INT8": i8(1), "INT16": i16(1), "INT32": i32(1), "INT64": i64(2**62), "FLOAT32": f32("1.5"), "FLOAT64": f64("1.5")}
    inputs = [{"source": source, "target": target, "value": one[source]} for source, target in itertools.product(numbers + [], numbers)]
    plain = struct(["a", "INT32"], ["b", "STRING?"])

    def project(source, target, value):
        inputs.append({"source": source, "target": target, "value": value})

    project("INT32", "STRING", i32(1))
    project("STRING", "STRING", "x")
    project(schema("INT32", name="a"), schema("INT32", name="b"), i32(1))
    project(schema("INT32", name="a"), "INT32", i32(1))
    project(schema("INT32", parameters=[["a", "b"]]), "INT32", i32(1))
    project(schema("INT32", version=1, doc="x"), schema("INT32", version=2, doc="y"), i32(1))
    project("INT32?", "INT32", i32(1))
    project("INT32?", schema("INT32", default=i32(9)), i32(1))
    project("INT32?", schema("INT32", default=i32(9)), None)
    project("INT32?", "INT64?", i32(1))
    project("INT32?", "INT64?", None)
    project("INT32", "INT32?", i32(5))
    project(schema("INT32", optional=True, default=i32(1)), schema("INT32", optional=True, default=i32(2)), None)
    project(plain, struct(["a", "INT64"], ["b", "STRING?"], ["c", "INT32?"], ["d", schema("STRING", default="dd")]), row(i32(1), "x"))
    project(plain, struct(["a", "INT32"]), row(i32(1), None))
    project(plain, struct(["z", "INT32"]), row(i32(1), None))
    project(plain, struct(["a", "STRING"]), row(i32(1), None))
    project(plain, struct(["b", "STRING"]), row(i32(1), "x"))
    project(plain, struct(["e", schema("INT32", optional=True, default=i32(4))]), row(i32(1), "x"))
    project(plain, {**plain, "name": "x"}, row(i32(1), None))
    project(array("INT32"), array("INT64"), arr(i32(1), i32(2)))
    project(array("INT64"), array("INT32"), arr(i64(1)))
    project(mapping("STRING", "INT32"), mapping("STRING", "FLOAT64"), pairs(("a", i32(1))))
    project(mapping("INT32", "INT32"), mapping("INT64", "INT32"), pairs((i32(1), i32(1))))
    project(decimal(2), decimal(2), dec(1, 2))
    project(decimal(2), decimal(3), dec(1, 2))
    project(logical(d.DATE), logical(d.DATE), date(d.DAY_MS))
    project(struct(["n", plain]), struct(["n", struct(["a", "FLOAT32"])]), row(row(i32(3), None)))
    cases.add("project", None, {}, inputs)


def all_cases(cases, rng):
    json(cases, rng)
    simple(cases, rng)
    headers(cases, rng)
    projection(cases, rng)
