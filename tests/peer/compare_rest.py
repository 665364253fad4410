"""REST API: the contract tests of tests/it/rest against ours and against the original worker.

Ours runs inside the tests, with connectors that read and write files as the original has; the original is reached by its
URL. While its group rebalances, which any change makes it do, it refuses what follows: a test that fails there has two more
tries, by itself.
"""

import os
import re
import subprocess

from originals import Original
from stack import REPO, BenchError

TIMEOUT_S = 900


def run(services):
    build()
    results = {"ours": outcome(services, None, "rest::")}
    worker = Original(services, ["file", "debezium-3"], "rest-original")
    worker.start()
    try:
        found = outcome(services, worker.url, "rest::")
        for test in [test for test, why in found.items() if why is not None]:
            for _ in range(2):
                if found[test] is not None:
                    found |= outcome(services, worker.url, test)
        results["original"] = found
    finally:
        worker.stop()
    for name, found in results.items():
        print(f"    {name}: {sum(why is None for why in found.values())} of {len(found)} tests pass", flush=True)
    ours, original = results["ours"], results["original"]
    count = 0
    for test in sorted({*ours, *original}):
        a, b = ours.get(test, "was not run"), original.get(test, "was not run")
        if a is None and b is None:
            continue
        count += 1
        print(f"    {test}\n        ours:     {a or 'passes'}\n        original: {b or 'passes'}")
    return count


def build():
    done = subprocess.run([REPO / "dev/cargo", "test", "--test", "it", "--no-run"], capture_output=True, text=True, timeout=3600)
    if done.returncode != 0:
        raise BenchError(f"the tests do not build: {done.stderr[-2000:]}")


def outcome(services, url, which):
    """What became of each test: None, or why it failed."""
    environment = dict(os.environ, **services.found, RUST_BACKTRACE="0")
    command = [REPO / "dev/cargo", "test", "--test", "it", which, "--"]
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
    return tests
