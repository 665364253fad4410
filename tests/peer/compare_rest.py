"""REST API: the contract tests of tests/it/rest against ours and against the original worker, compared call by call.

Ours runs inside the tests, with connectors that read and write files as the original has; the original is reached by its
URL. While its group rebalances, which any change makes it do, it refuses what follows: a test that fails there has two more
tries, by itself. The tests record every call with its answer; of calls that wait for something the last one counts.
"""

import difflib
import json
import os
import re
import subprocess

import on_purpose
import topics
from originals import Original
from stack import REPO, BenchError

TIMEOUT_S = 900
# With the features of `make test`, so that nothing is built twice.
TESTS = [REPO / "dev/cargo", "test", "--workspace", "--features", "analytics,failpoints", "--test", "it"]
# What has to differ in an answer: names that a test made up, addresses, identities, times.
OWN = [
    (re.compile(r"(_[0-9a-f]{10})+"), "_NAME"),
    (re.compile(r"\b(127\.0\.0\.1|localhost):\d+"), "HOST:PORT"),
    (re.compile(r'"(kafka_cluster_id|commit)":"[^"]*"'), r'"\1":"..."'),
    (re.compile(r'"last_modified":(\d+|null)'), '"last_modified":0'),
    # Of a stack trace its first line says what and why.
    (re.compile(r'"trace":"((?:[^"\\]|\\.)*?)(?:\\n(?:[^"\\]|\\.)*)?"'), r'"trace":"\1"'),
]


UNIQUE = re.compile(r"_[0-9a-f]{10}")


def run(services):
    build()
    results, calls = {}, {}
    results["ours"], calls["ours"] = outcome(services, None, "rest::", "ours")
    worker = Original(services, ["file", "debezium-3"], "rest-original")
    worker.start()
    try:
        found, made = outcome(services, worker.url, "rest::", "original")
        for test in [test for test, why in found.items() if why is not None]:
            for attempt in (2, 3):
                if found[test] is not None:
                    again, calls_again = outcome(services, worker.url, test, f"original-{attempt}")
                    found |= again
                    made |= calls_again
        results["original"], calls["original"] = found, made
    finally:
        worker.stop()
    for name, found in results.items():
        print(f"    {name}: {sum(why is None for why in found.values())} of {len(found)} tests pass", flush=True)
    return by_test(results["ours"], results["original"]) + by_call(calls["ours"], calls["original"])


def by_test(ours, original):
    """Tests that do not pass on both."""
    count = 0
    for test in sorted({*ours, *original}):
        a, b = ours.get(test, "was not run"), original.get(test, "was not run")
        if a is None and b is None:
            continue
        why = on_purpose.rest_test(test.removeprefix("rest::")) if a is None else None
        print(f"    {test}" + (f"\n        on purpose: {why}" if why else ""))
        print(f"        ours:     {a or 'passes'}\n        original: {b or 'passes'}")
        count += why is None
    return count


def by_call(ours, original):
    """Calls that both were asked and answered differently; differences of the same kind are one row."""
    compared = equal = alone = 0
    rows, meant = {}, {}
    for test in sorted({*ours, *original}):
        mine, other = (settled(own_connectors(calls.get(test, []))) for calls in (ours, original))
        matcher = difflib.SequenceMatcher(None, [asked(call) for call in mine], [asked(call) for call in other], autojunk=False)
        for tag, a, b, c, d in matcher.get_opcodes():
            if tag != "equal":
                alone += (b - a) + (d - c)
                continue
            for one, two in zip(mine[a:b], other[c:d]):
                compared += 1
                found = list(differences(one, two))
                equal += not found
                for path, x, y in found:
                    what = f"{one['method']} {own(one['path'])}"
                    why = on_purpose.rest_call(what, path, x, y)
                    if why:
                        meant.setdefault(why, set()).add(what)
                        continue
                    row = rows.setdefault((route(what), re.sub(r"\[\d+\]", "[]", path)), {"count": 0, "call": what, "test": test, "ours": x, "original": y})
                    row["count"] += 1
    print(f"    {compared} calls were made of both: {equal} answers are the same, {len(rows)} kinds of difference, {len(meant)} on purpose; {alone} calls only of one")
    for why, which in sorted(meant.items()):
        print(f"    on purpose: {why}: {len(which)} calls, such as {min(which, key=len)}")
    for (_, path), row in rows.items():
        print(f"    {row['call']}: {path}  x{row['count']} in {row['test']}\n        ours:     {cut(row['ours'])}\n        original: {cut(row['original'])}")
    return len(rows)


def own_connectors(calls):
    """The calls of a test, with listings that have what this test made only: others run at the same time."""
    mine = {found for call in calls for found in UNIQUE.findall(call["path"] + (call["body"] or ""))}
    for call in calls:
        if call["method"] != "GET" or not re.fullmatch(r"/(connectors|admin/loggers)/?(\?.*)?", call["path"]) or call["status"] != 200:
            continue
        body = json.loads(call["text"])
        names = [name for name in body if mine & set(UNIQUE.findall(name))]
        kept = sorted(names) if isinstance(body, list) else {name: body[name] for name in sorted(names)}
        call["text"] = json.dumps(kept, separators=(",", ":"), ensure_ascii=False)
    return calls


def settled(calls):
    """Of equal calls in a row, which wait for something, the last; and none that was refused while the group rebalanced."""
    kept = []
    for call in calls:
        if call["status"] in (409, 500) and "rebalance is expected" in call["text"]:
            continue
        if kept and asked(kept[-1]) == asked(call):
            kept.pop()
        kept.append(call)
    return kept


def asked(call):
    return call["method"], own(call["path"]), own(call["body"] or "")


def own(text):
    for pattern, to in OWN:
        text = pattern.sub(to, text)
    return text


def route(what):
    return re.sub(r"/(connectors|connector-plugins)/[^/?]+", r"/\1/*", what)


def differences(ours, original):
    """[(what, ours, original)] of two answers."""
    if ours["status"] != original["status"]:
        yield "status", f"{ours['status']} {ours['text']}", f"{original['status']} {original['text']}"
        return
    for name, value in ours["headers"].items():
        a, b = (own(answer["headers"][name] or "") for answer in (ours, original))
        if name == "allow":
            a, b = (",".join(sorted(re.split(r",\s*", text))) for text in (a, b))
        if a != b:
            yield name, a, b
    a, b = own(ours["text"]), own(original["text"])
    if a == b:
        return
    try:
        yield from topics.of_json(listed(json.loads(a)), listed(json.loads(b)), "body")
    except ValueError:
        yield "body", a, b


def listed(body):
    """Lists of things that have a name or a number, as objects by it: so each finds its partner."""
    if isinstance(body, dict):
        return {name: listed(value) for name, value in body.items()}
    if not isinstance(body, list) or not body or not all(isinstance(item, dict) for item in body):
        return body
    for called in (
        lambda item: f"{item['class']} {item['type']}",
        lambda item: item["value"]["name"],
        lambda item: str(item["id"]),
        lambda item: str(item["task"]),
        lambda item: item["name"],
    ):
        try:
            return {called(item): listed(item) for item in body}
        except (KeyError, TypeError):
            pass
    return body


def build():
    done = subprocess.run([*TESTS, "--no-run"], capture_output=True, text=True, timeout=3600)
    if done.returncode != 0:
        raise BenchError(f"the tests do not build: {done.stderr[-2000:]}")


def outcome(services, url, which, name):
    """What became of each test: None, or why it failed; and the calls of each."""
    record = services.state / f"rest-{name}.jsonl"
    record.unlink(missing_ok=True)
    environment = dict(os.environ, **services.found, RUST_BACKTRACE="0", FERROCONNECT_TEST_CALLS=str(record))
    command = [*TESTS, which, "--"]
    if url:
        environment["FERROCONNECT_TEST_URL"] = url
        command += ["--test-threads=1"]
    if which != "rest::":
        command += ["--exact"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=TIMEOUT_S)
    tests = {name: None for name, verdict in re.findall(r"^test (rest::\S+) \.\.\. (\w+)", done.stdout, re.MULTILINE)}
    if not tests:
        raise BenchError(f"no test was run: {done.stderr[-2000:]}")
    for name, text in re.findall(r"^---- (rest::\S+) stdout ----\n(.*?)(?=^---- |^failures:|\Z)", done.stdout, re.MULTILINE | re.DOTALL):
        panic = re.search(r"panicked at (\S+):\n(.*)", text, re.DOTALL)
        where, why = panic.groups() if panic else ("", text)
        lines = [line.strip() for line in why.splitlines() if line.strip() and not line.startswith("note:")]
        tests[name] = f"{where} {' '.join(lines)[:700]}"
    calls = {}
    for line in record.read_text().split("\n")[:-1] if record.exists() else ():
        call = json.loads(line)
        calls.setdefault(call["test"], []).append(call)
    return tests, calls


def cut(value, most=300):
    text = str(value)
    return text if len(text) <= most else text[:most] + "..."
