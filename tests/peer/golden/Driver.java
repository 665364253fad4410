import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.math.BigDecimal;
import java.math.BigInteger;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.apache.kafka.common.header.Headers;
import org.apache.kafka.common.header.internals.RecordHeaders;
import org.apache.kafka.common.record.TimestampType;
import org.apache.kafka.connect.connector.ConnectRecord;
import org.apache.kafka.connect.data.ConnectSchema;
import org.apache.kafka.connect.data.Field;
import org.apache.kafka.connect.data.Schema;
import org.apache.kafka.connect.data.SchemaAndValue;
import org.apache.kafka.connect.data.SchemaBuilder;
import org.apache.kafka.connect.data.SchemaProjector;
import org.apache.kafka.connect.data.Struct;
import org.apache.kafka.connect.header.ConnectHeaders;
import org.apache.kafka.connect.header.Header;
import org.apache.kafka.connect.json.JsonConverter;
import org.apache.kafka.connect.sink.SinkRecord;
import org.apache.kafka.connect.source.SourceRecord;
import org.apache.kafka.connect.storage.Converter;
import org.apache.kafka.connect.storage.HeaderConverter;
import org.apache.kafka.connect.transforms.Transformation;
import org.apache.kafka.connect.transforms.predicates.Predicate;

/**
 * Runs cases through the original's classes: one case a line of JSON in, one outcome a line out. The forms of schemas, values and
 * records are described in README.md beside this file; nothing here goes through a converter that is itself under test.
 */
public final class Driver {
    private static final JsonNodeFactory JSON = JsonNodeFactory.instance;
    private static final ObjectMapper MAPPER = new ObjectMapper();

    public static void main(String[] args) throws Exception {
        PrintStream out = new PrintStream(new java.io.FileOutputStream(java.io.FileDescriptor.out), false, StandardCharsets.UTF_8);
        // Whatever the classes print is not an outcome.
        System.setOut(System.err);
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line = in.readLine(); line != null; line = in.readLine()) {
            out.println(MAPPER.writeValueAsString(run(MAPPER.readTree(line))));
        }
        out.flush();
    }

    /** What one input of a case becomes. */
    private interface Step {
        JsonNode run(JsonNode input) throws Exception;
    }

    private static JsonNode run(JsonNode line) {
        Step step;
        try {
            step = step(line);
        } catch (Throwable refused) {
            return JSON.objectNode().set("refused", failure(refused));
        }
        ArrayNode outcomes = JSON.arrayNode();
        for (JsonNode input : line.get("inputs")) {
            try {
                outcomes.add(step.run(input));
            } catch (Throwable failed) {
                outcomes.add(JSON.objectNode().set("error", failure(failed)));
            }
        }
        return outcomes;
    }

    @SuppressWarnings({"rawtypes", "unchecked"})
    private static Step step(JsonNode line) throws Exception {
        Map<String, String> config = new HashMap<>();
        line.path("config").fields().forEachRemaining(entry -> config.put(entry.getKey(), entry.getValue().asText()));
        String kind = line.get("kind").asText();
        if (kind.equals("project")) {
            return input -> {
                Schema source = schema(input.get("source"));
                Schema target = schema(input.get("target"));
                return write(target, SchemaProjector.project(source, value(source, input.get("value")), target));
            };
        }
        Object made = Class.forName(line.get("class").asText()).getDeclaredConstructor().newInstance();
        switch (kind) {
            case "transform":
                Transformation transform = (Transformation) made;
                transform.configure(config);
                return input -> record(transform.apply(record(input)));
            case "predicate":
                Predicate predicate = (Predicate) made;
                predicate.configure(config);
                return input -> JSON.booleanNode(predicate.test(record(input)));
            case "write": {
                Converter converter = (Converter) made;
                converter.configure(config, line.path("key").asBoolean());
                return input -> {
                    Schema schema = schema(input.get("schema"));
                    Object value = value(schema, input.get("value"));
                    if (input.has("headers")) {
                        return bytes(converter.fromConnectData("t", headersInJson(input.get("headers")), schema, value));
                    }
                    return bytes(converter.fromConnectData("t", schema, value));
                };
            }
            case "read": {
                Converter converter = (Converter) made;
                converter.configure(config, line.path("key").asBoolean());
                return input -> both(converter.toConnectData("t", bytes(input)));
            }
            case "header-write": {
                HeaderConverter converter = (HeaderConverter) made;
                config.put("converter.type", "header");
                converter.configure(config);
                return input -> {
                    Schema schema = schema(input.get("schema"));
                    return bytes(converter.fromConnectHeader("t", "h", schema, value(schema, input.get("value"))));
                };
            }
            case "header-read": {
                HeaderConverter converter = (HeaderConverter) made;
                config.put("converter.type", "header");
                converter.configure(config);
                return input -> both(converter.toConnectHeader("t", "h", bytes(input)));
            }
            default:
                throw new IllegalArgumentException(kind);
        }
    }

    /** Headers as JsonConverter with schemas writes them, which is what the one converter that looks at headers wants. */
    private static Headers headersInJson(JsonNode node) {
        JsonConverter json = new JsonConverter();
        json.configure(Map.of("schemas.enable", "true", "converter.type", "header"));
        RecordHeaders headers = new RecordHeaders();
        for (JsonNode header : node) {
            Schema schema = schema(header.get(1));
            String name = header.get(0).asText();
            headers.add(name, json.fromConnectHeader("t", name, schema, value(schema, header.get(2))));
        }
        return headers;
    }

    private static ArrayNode failure(Throwable thrown) {
        ArrayNode chain = JSON.arrayNode();
        for (Throwable cause = thrown; cause != null && chain.size() < 5; cause = cause.getCause()) {
            chain.add(JSON.arrayNode().add(cause.getClass().getName()).add(cause.getMessage()));
        }
        return chain;
    }

    // Bytes: text where they are plain ASCII, else hexadecimal.

    private static JsonNode bytes(byte[] bytes) {
        if (bytes == null) {
            return JSON.nullNode();
        }
        for (byte one : bytes) {
            if (one < 0x20 || one == 0x7F) {
                return JSON.objectNode().put("hex", HexFormat.of().formatHex(bytes));
            }
        }
        return JSON.textNode(new String(bytes, StandardCharsets.US_ASCII));
    }

    private static byte[] bytes(JsonNode node) {
        if (node.isNull()) {
            return null;
        }
        return node.isTextual() ? node.asText().getBytes(StandardCharsets.UTF_8) : HexFormat.of().parseHex(node.get("hex").asText());
    }

    // Schemas.

    private static Schema schema(JsonNode node) {
        if (node == null || node.isNull()) {
            return null;
        }
        if (node.isTextual()) {
            String text = node.asText();
            boolean optional = text.endsWith("?");
            SchemaBuilder plain = SchemaBuilder.type(Schema.Type.valueOf(optional ? text.substring(0, text.length() - 1) : text));
            return optional ? plain.optional().build() : plain.build();
        }
        Schema.Type type = Schema.Type.valueOf(node.get("type").asText());
        SchemaBuilder builder = switch (type) {
            case ARRAY -> SchemaBuilder.array(schema(node.get("values")));
            case MAP -> SchemaBuilder.map(schema(node.get("keys")), schema(node.get("values")));
            default -> SchemaBuilder.type(type);
        };
        if (node.path("optional").asBoolean()) {
            builder.optional();
        }
        if (node.has("name")) {
            builder.name(node.get("name").asText());
        }
        if (node.has("version")) {
            builder.version(node.get("version").asInt());
        }
        if (node.has("doc")) {
            builder.doc(node.get("doc").asText());
        }
        for (JsonNode pair : node.path("parameters")) {
            builder.parameter(pair.get(0).asText(), pair.get(1).asText());
        }
        for (JsonNode pair : node.path("fields")) {
            builder.field(pair.get(0).asText(), schema(pair.get(1)));
        }
        if (node.has("default")) {
            builder.defaultValue(value(builder.build(), node.get("default")));
        }
        return builder.build();
    }

    private static JsonNode schema(Schema schema) {
        if (schema == null) {
            return JSON.nullNode();
        }
        String type = schema.type().name();
        ObjectNode node = JSON.objectNode().put("type", type);
        if (schema.isOptional()) {
            node.put("optional", true);
        }
        if (schema.name() != null) {
            node.put("name", schema.name());
        }
        if (schema.version() != null) {
            node.put("version", schema.version());
        }
        if (schema.doc() != null) {
            node.put("doc", schema.doc());
        }
        if (schema.parameters() != null && !schema.parameters().isEmpty()) {
            ArrayNode parameters = node.putArray("parameters");
            schema.parameters().forEach((key, value) -> parameters.add(JSON.arrayNode().add(key).add(value)));
        }
        if (schema.defaultValue() != null) {
            node.set("default", value(schema, schema.defaultValue()));
        }
        switch (schema.type()) {
            case STRUCT -> {
                ArrayNode fields = node.putArray("fields");
                for (Field field : schema.fields()) {
                    fields.add(JSON.arrayNode().add(field.name()).add(schema(field.schema())));
                }
            }
            case MAP -> {
                node.set("keys", schema(schema.keySchema()));
                node.set("values", schema(schema.valueSchema()));
            }
            case ARRAY -> node.set("values", schema(schema.valueSchema()));
            default -> {
                if (node.size() == 1) {
                    return JSON.textNode(type);
                }
                if (node.size() == 2 && schema.isOptional()) {
                    return JSON.textNode(type + "?");
                }
            }
        }
        return node;
    }

    // Values.

    private static Object value(Schema schema, JsonNode node) {
        if (node == null || node.isNull()) {
            return null;
        }
        if (node.isTextual()) {
            return node.asText();
        }
        if (node.isBoolean()) {
            return node.asBoolean();
        }
        Map.Entry<String, JsonNode> entry = node.fields().next();
        JsonNode held = entry.getValue();
        switch (entry.getKey()) {
            case "i8":
                return (byte) held.asInt();
            case "i16":
                return (short) held.asInt();
            case "i32":
                return held.asInt();
            case "i64":
                return held.asLong();
            case "f32":
                return Float.valueOf(held.asText());
            case "f64":
                return Double.valueOf(held.asText());
            case "bytes":
                return HexFormat.of().parseHex(held.asText());
            case "buffer":
                return ByteBuffer.wrap(HexFormat.of().parseHex(held.asText()));
            case "decimal":
                return new BigDecimal(new BigInteger(held.get(0).asText()), held.get(1).asInt());
            case "date":
                return new java.util.Date(held.asLong());
            case "array": {
                List<Object> list = new ArrayList<>();
                Schema items = schema == null ? null : schema.valueSchema();
                held.forEach(item -> list.add(value(items, item)));
                return list;
            }
            case "map": {
                Map<Object, Object> map = new LinkedHashMap<>();
                Schema keys = schema == null ? null : schema.keySchema();
                Schema values = schema == null ? null : schema.valueSchema();
                held.forEach(pair -> map.put(value(keys, pair.get(0)), value(values, pair.get(1))));
                return map;
            }
            case "struct": {
                Schema own = node.has("schema") ? schema(node.get("schema")) : schema;
                Struct struct = new Struct(own);
                for (Field field : own.fields()) {
                    Object member = value(field.schema(), held.get(field.index()));
                    if (member != null) {
                        struct.put(field, member);
                    }
                }
                return struct;
            }
            default:
                throw new IllegalArgumentException(entry.getKey());
        }
    }

    private static JsonNode value(Schema schema, Object value) {
        if (value == null) {
            return JSON.nullNode();
        }
        if (value instanceof String text) {
            return JSON.textNode(text);
        }
        if (value instanceof Boolean truth) {
            return JSON.booleanNode(truth);
        }
        ObjectNode node = JSON.objectNode();
        if (value instanceof Byte number) {
            return node.put("i8", number.intValue());
        }
        if (value instanceof Short number) {
            return node.put("i16", number.intValue());
        }
        if (value instanceof Integer number) {
            return node.put("i32", number);
        }
        if (value instanceof Long number) {
            return node.put("i64", number);
        }
        if (value instanceof Float number) {
            return node.put("f32", number.toString());
        }
        if (value instanceof Double number) {
            return node.put("f64", number.toString());
        }
        if (value instanceof byte[] bytes) {
            return node.put("bytes", HexFormat.of().formatHex(bytes));
        }
        if (value instanceof ByteBuffer buffer) {
            byte[] bytes = new byte[buffer.duplicate().remaining()];
            buffer.duplicate().get(bytes);
            return node.put("bytes", HexFormat.of().formatHex(bytes));
        }
        if (value instanceof BigDecimal number) {
            return node.set("decimal", JSON.arrayNode().add(number.unscaledValue().toString()).add(number.scale()));
        }
        if (value instanceof java.util.Date date) {
            return node.put("date", date.getTime());
        }
        if (value instanceof List<?> list) {
            ArrayNode items = node.putArray("array");
            Schema of = schema == null ? null : schema.valueSchema();
            list.forEach(item -> items.add(value(of, item)));
            return node;
        }
        if (value instanceof Map<?, ?> map) {
            ArrayNode entries = node.putArray("map");
            Schema keys = schema == null ? null : schema.keySchema();
            Schema values = schema == null ? null : schema.valueSchema();
            map.forEach((key, held) -> entries.add(JSON.arrayNode().add(value(keys, key)).add(value(values, held))));
            return node;
        }
        if (value instanceof Struct struct) {
            ArrayNode members = node.putArray("struct");
            for (Field field : struct.schema().fields()) {
                members.add(value(field.schema(), struct.getWithoutDefault(field.name())));
            }
            if (schema == null || !same(schema, struct.schema())) {
                node.set("schema", schema(struct.schema()));
            }
            return node;
        }
        return node.put("class", value.getClass().getName());
    }

    /** Builders take part as schemas in some originals and equal nothing. */
    private static boolean same(Schema one, Schema other) {
        return schema(one).equals(schema(other));
    }

    private static JsonNode write(Schema schema, Object value) {
        return value(schema, value);
    }

    private static JsonNode both(SchemaAndValue data) {
        ObjectNode node = JSON.objectNode();
        node.set("schema", schema(data.schema()));
        node.set("value", value(data.schema(), data.value()));
        return node;
    }

    // Records.

    @SuppressWarnings("rawtypes")
    private static ConnectRecord record(JsonNode node) {
        Schema keySchema = schema(node.get("keySchema"));
        Schema valueSchema = schema(node.get("valueSchema"));
        String topic = node.path("topic").isNull() ? null : node.path("topic").asText("t");
        Integer partition = node.hasNonNull("partition") ? node.get("partition").asInt() : null;
        Long timestamp = node.hasNonNull("timestamp") ? node.get("timestamp").asLong() : null;
        ConnectHeaders headers = new ConnectHeaders();
        for (JsonNode header : node.path("headers")) {
            Schema schema = schema(header.get(1));
            headers.add(header.get(0).asText(), new SchemaAndValue(schema, value(schema, header.get(2))));
        }
        Object key = value(keySchema, node.get("key"));
        Object value = value(valueSchema, node.get("value"));
        if (node.hasNonNull("offset")) {
            long offset = node.get("offset").asLong();
            TimestampType type = timestamp == null ? TimestampType.NO_TIMESTAMP_TYPE : TimestampType.CREATE_TIME;
            return new SinkRecord(topic, partition == null ? 0 : partition, keySchema, key, valueSchema, value, offset, timestamp, type, headers);
        }
        return new SourceRecord(Map.of(), Map.of(), topic, partition, keySchema, key, valueSchema, value, timestamp, headers);
    }

    private static JsonNode record(ConnectRecord<?> record) {
        if (record == null) {
            return JSON.textNode("dropped");
        }
        ObjectNode node = JSON.objectNode();
        node.put("topic", record.topic());
        if (record.kafkaPartition() != null) {
            node.put("partition", record.kafkaPartition());
        }
        if (record.timestamp() != null) {
            node.put("timestamp", record.timestamp());
        }
        if (record instanceof SinkRecord sink) {
            node.put("offset", sink.kafkaOffset());
        }
        part(node, "key", record.keySchema(), record.key());
        part(node, "value", record.valueSchema(), record.value());
        if (!record.headers().isEmpty()) {
            ArrayNode headers = node.putArray("headers");
            for (Header header : record.headers()) {
                headers.add(JSON.arrayNode().add(header.key()).add(schema(header.schema())).add(value(header.schema(), header.value())));
            }
        }
        return node;
    }

    private static void part(ObjectNode node, String name, Schema schema, Object value) {
        if (schema != null) {
            node.set(name + "Schema", schema(schema));
        }
        if (value != null) {
            node.set(name, value(schema, value));
        }
    }
}
