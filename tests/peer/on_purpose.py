"""What differs from the original and shall: docs/compatibility.md says more. Anything else is a difference that counts."""

import re

# Topic, path of the difference, configuration (empty: any), and why.
KNOWN = [
    ("arrays", r"\ba_time\b", "", "time[] keeps its microseconds"),
    ("arrays", r"\ba_timetz\b", "", "timetz[] keeps its fraction"),
    ("arrays", r"\ba_text\b", "", "the original writes the address of a Java object for the rows of a two-dimensional array"),
    ("defaults", r"\bd_(concat|user)\b", "", "an expression is no default: the original takes a part of it for the value"),
    ("index_identity", r"record only|header __(op|debezium\.oldkey)|\b__op\b", "", "an index as replica identity: the original says that a row of key 0 was deleted"),
    (".transaction", r"event_count|data_collections", "", "an index as replica identity: the original says that a row of key 0 was deleted"),
    ("texts", r"\bc_name\b", "", "columns of type name are streamed"),
    ("times", r"\bc_interval3\b", "", "intervals are exact: the original reads their seconds as a binary fraction"),
    ("times", r"\bc_date\b", "", "dates before Christ are the same in snapshot and stream"),
    ("times", r"\bc_(ts6|tstz3)\b", "", "beyond the year 294246 microseconds do not fit: null, where the original overflows"),
    ("numbers", r"\bc_num3810\b", "double", "the shortest text of a double, as Java has it since 19"),
    ("shapes", r"\bc_(line|lseg|box|path|polygon|circle)\b", "text", "unknown types are the server's text in snapshots too"),
    ("toast", r"\bb\b", "double|nanos|generation", "an unchanged bytea as text is the placeholder, where the original writes null"),
    ("GET /offsets", r"", "", "positions lie at commits only"),
    # What 2.3 has wrong and debezium.compatibility=2.3 does not imitate.
    ("Strange_Name", r"code\b", "generation-2", "names are UTF-8: 2.3 reads them byte by byte"),
    ("binaries", r"\bc_varbit1\b", "generation-2", "a varbit(1) is a boolean: 2.3 reads null"),
    ("defaults", r"\bd_(text|mood|mood_nn)\b", "generation-2", "defaults are whole: 2.3 cuts texts at a quote and loses those of enums"),
    ("numbers", r"\bc_money\b", "generation-2", "money is exact: 2.3 overflows and drops zeros"),
    ("defaults", r"\bd_money\b", "generation-2", "money is exact: 2.3 overflows and drops zeros"),
    ("times", r"\bc_ts(0|3|tz|tz0)?\b", "generation-2", "dates before 1582 are of one calendar: 2.3 mixes two"),
    ("toast", r"\b[hu]\b", "generation-2", "an unchanged value is the placeholder: 2.3 writes null for some types"),
    ("toast_full", r"\b(h|ti|ii|bi|d)\b", "generation-2", "the old row of a full identity is read whole: 2.3 takes the placeholder for some types"),
]


def reason(topic, path, variant):
    """Why this difference is meant, or None."""
    for of_topic, of_path, of_variant, why in KNOWN:
        # What a column is called in its schema is another matter than its values.
        if ".parameters" in path:
            return None
        if topic.removeprefix(".peer.") == of_topic and re.search(of_path, path) and re.search(of_variant or "", variant):
            return why
    return None

# Tests of tests/it/rest that the original does not pass, and why ours differs.
REST_TESTS = {
    "bad_input::names_that_cannot_be_kept_are_refused": "names above 1,000 bytes are refused",
    "config::what_is_unknown_is_not_found": "an error has one form: the original's server answers a broken path with a page",
    "connectors::of_two_creations_at_once_one_wins": "of creations of one name at the same instant one wins: there, all may be 201",
    "plugins::a_connectors_keys_come_before_the_frameworks": "order_in_group of 4.3 stands beside order",
    "transport::a_body_over_the_limit_is_refused": "bodies have a limit",
}

# Call, path of the difference, and why.
REST_CALLS = [
    (r"", r"\bdocumentation$", "the texts that explain a key are ours"),
    (r"", r"\border_in_group$", "order_in_group of 4.3 stands beside order"),
    (r"", r"\bversion$", "the version in a status, and those of plugins, as in 4.x"),
    (r"", r"\bbody(\..*)?$", "configurations are sorted by key: the original's order is that of a hash map"),
    (r"", r"\btasks$", "when its tasks are there is a matter of milliseconds"),
    (r"^GET /connector-plugins", r"^body\.\S+ (source|sink|transformation|predicate|converter|header_converter)$", "another set of plugins is installed"),
    (r"", r"^body\.message$", "the message lists the plugins, of which another set is installed"),
    (r"^GET /connector-plugins/JsonConverter/config", r"\bschema\.content$", "a key of 4.2"),
    (r"^GET /connector-plugins/JsonConverter/config", r"\bconverter\.type\.", "converter.type is set by the worker and has a default"),
    (r"", r"^body\.message$", "what is malformed is told in our words"),
    (r"^GET /connectors/%00", r"^status$", "an error has one form: the original's server answers a broken path with a page"),
    (r"^POST /connectors$", r"^status$", "bodies have a limit"),
    (r"^(PUT /connectors/[^/]+/fence|POST /connectors/[^/]+/tasks)$", r"^status$", "what workers say to each other is not there"),
    (r"/tasks(-config)?$", r"\btest\.task$", "the tests' connector gives its tasks their numbers"),
    (r"", r"\.(file|some\.password)$", "the tests name another variable of ours' environment"),
]


def only_order(ours, original):
    """Whether the same members stand in another order: in an object, or in the text of a configuration."""
    if ours.startswith("members in order "):
        return True
    return sorted(re.split(r"[{},] *", ours)) == sorted(re.split(r"[{},] *", original))


def rest_test(test):
    """Why the original need not pass this test, or None."""
    return REST_TESTS.get(test)


def rest_call(call, path, ours, original):
    """Why the answer to this call may differ there, or None."""
    for of_call, of_path, why in REST_CALLS:
        if not re.search(of_call, call) or not re.search(of_path, path):
            continue
        if "hash map" in why and not only_order(ours, original):
            continue
        if "malformed" in why and not re.search("JSON|Cannot deserialize|Cannot construct|Unrecognized field", ours):
            continue
        if "lists the plugins" in why and "available connectors are" not in ours:
            continue
        if "variable" in why and (ours, original) != ('"${env:SHOWN_A}"', '"${env:PATH}"'):
            continue
        if "milliseconds" in why and "[]" not in (ours, original):
            continue
        return why
    return None
