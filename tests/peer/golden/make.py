"""Runs every case through the original and writes what came out to tests/golden/peer, one file a class."""

import json
import os
import random
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]
import converters  # noqa: E402
import debezium  # noqa: E402
import kafka  # noqa: E402
from originals import fetch, require_tools  # noqa: E402

SEED = 5
GOLDEN = HERE.parent.parent / "golden/peer"
# What stands twice and is longer than this is written once.
INTERNED_MIN = 60
# Folders of jars, first come first served.
ORIGINALS = {"debezium-3": ("worker", "debezium-3", "golden"), "debezium-2": ("worker", "debezium-2")}


class Cases:
    def __init__(self):
        self.cases = []

    def add(self, kind, class_, config, inputs, original="debezium-3", **rest):
        case = {"kind": kind, "class": class_, "config": config, **rest, "inputs": inputs}
        self.cases.append((original, {name: value for name, value in case.items() if value is not None}))


def run(original, cases):
    """The outcome of each case."""
    path = ":".join(f"{fetch(profile)}/*" for profile in ORIGINALS[original])
    command = ["java", "-Duser.timezone=UTC", "-Dfile.encoding=UTF-8", "-Duser.language=en", "-Duser.country=US", f"-Dlog4j.configuration=file:{HERE / 'log4j.properties'}", "-cp", path, str(HERE / "Driver.java")]
    lines = "".join(json.dumps(case) + "\n" for case in cases)
    done = subprocess.run(command, input=lines, capture_output=True, text=True)
    outcomes = [json.loads(line) for line in done.stdout.splitlines()]
    if done.returncode != 0 or len(outcomes) != len(cases):
        sys.exit(f"the driver failed after {len(outcomes)} of {len(cases)} cases: {done.stderr[-2000:]}")
    return outcomes


def file_of(case):
    if case["kind"] == "project":
        return "SchemaProjector"
    return case["class"].rsplit(".", 1)[-1].split("$")[0]


def text_of(node):
    return json.dumps(node, separators=(",", ":"), ensure_ascii=False)


def stable(node):
    """Without what is another one at each run: the addresses of objects."""
    if isinstance(node, dict):
        return {name: stable(value) for name, value in node.items()}
    if isinstance(node, list):
        return [stable(value) for value in node]
    return re.sub(r"@[0-9a-f]{5,8}\b", "@ADDRESS", node) if isinstance(node, str) else node


def settled(case, outcomes):
    """Without what the case says is another one in every process."""
    member = case.get("differs")
    if member is None:
        return outcomes
    return [{**one, member: "another one in every process"} if isinstance(one, dict) and member in one else one for one in outcomes]


def interned(cases):
    """Lines in which what is long and stands more than once is a reference into the first line's table."""
    counts = Counter()

    def count(node):
        if isinstance(node, str):
            assert not re.fullmatch(r"#\d+", node)
        if not isinstance(node, (dict, list)):
            return
        text = text_of(node)
        counts[text] += 1
        if counts[text] == 1:
            for value in node.values() if isinstance(node, dict) else node:
                count(value)

    count(cases)
    table, places = [], {}

    def reference(node):
        if not isinstance(node, (dict, list)):
            return node
        text = text_of(node)
        if text in places:
            return places[text]
        made = {name: reference(value) for name, value in node.items()} if isinstance(node, dict) else [reference(value) for value in node]
        if counts[text] > 1 and len(text) >= INTERNED_MIN:
            table.append(made)
            made = places[text] = f"#{len(table) - 1}"
        return made

    lines = [{name: value if name == "config" else reference(value) for name, value in case.items()} for case in cases]
    return [{"table": table}, *lines]


def main():
    require_tools()
    rng = random.Random(SEED)
    cases = Cases()
    for module in (converters, kafka, debezium):
        module.all_cases(cases, rng)
    files = {}
    for original in ORIGINALS:
        chosen = [case for of, case in cases.cases if of == original]
        for case, outcome in zip(chosen, run(original, chosen)):
            of_file = files.setdefault(file_of(case), [])
            line = {"id": f"{file_of(case)}-{len(of_file) + 1}", "original": original, **case}
            of_file.append({**line, **({"refused": stable(outcome["refused"])} if isinstance(outcome, dict) else {"outcomes": stable(settled(case, outcome))})})
    GOLDEN.mkdir(parents=True, exist_ok=True)
    for old in GOLDEN.glob("*.jsonl"):
        old.unlink()
    for name, of_file in sorted(files.items()):
        (GOLDEN / f"{name}.jsonl").write_text("".join(text_of(line) + "\n" for line in interned(of_file)))
    inputs = sum(len(case["inputs"]) for of_file in files.values() for case in of_file)
    size = sum(os.path.getsize(path) for path in GOLDEN.glob("*.jsonl"))
    print(f"{sum(map(len, files.values()))} cases with {inputs} inputs in {len(files)} files, {size // 1024} KiB")


if __name__ == "__main__":
    main()
