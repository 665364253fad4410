#!/usr/bin/env python3
"""What the history tables cost: a full build and a small run on top, beside what DuckDB needs to look at the same files.

usage: bench/scd2.py [--rows N]     10 million change rows over a tenth as many keys by default

Builds nothing: `make bench` builds first. Needs DuckDB's library and the release binary; writes below .dev/bench-scd2 and removes it.
The floor is what DuckDB alone needs to look at the same files: count(*) with a full scan (every column is read), plus one window over whole rows (by
key, in order of position; a history has all columns), each in a process of its own with DuckDB's defaults and the build's memory limit.
A window over key and position alone is shown beside it. Every figure is one run, with the files in the page cache.
"""

import json
import os
import resource
import shutil
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
from stack import BINARY, CACHE, REPO

WORK = REPO / ".dev/bench-scd2"
MEMORY = "1500MB"
FILES = 100
FILL = """
copy (
  select case when i < {keys} then i else hash(i) % {keys} end::bigint as id,
         'name-' || (hash(i, 1) % 1000) as name, (hash(i, 2) % 1000000 / 100)::decimal(10,2) as price,
         (hash(i, 3) % 1000)::int as qty, 'some text of a row ' || hash(i, 4) as note,
         1700000000000000 + i::bigint * 1000 as updated,
         case when i < {keys} then 'c' when hash(i, 5) % 20 = 0 then 'd' else 'u' end as __op,
         (1700000000000 + i // 10)::bigint as __source_ts_ms, (1000 + i * 8)::bigint as __source_lsn,
         case when i >= {keys} and hash(i, 5) % 20 = 0 then 'true' else 'false' end as __deleted
  from (select unnest(range({first}, {end}))::ubigint as i)
) to '{file}' (format parquet, compression snappy, kv_metadata {{"cdc.first_offset": '{first}', "cdc.last_offset": '{last}', "cdc.key_fields": '["id"]'}});
"""


def duckdb():
    try:
        import duckdb as module
    except ImportError:
        venv = CACHE / "bench-duckdb-1.5.5"
        if not (venv / "bin/python").exists():
            subprocess.run([sys.executable, "-m", "venv", venv], check=True)
            subprocess.run([venv / "bin/pip", "install", "--quiet", "duckdb==1.5.5"], check=True)
        os.execv(venv / "bin/python", [str(venv / "bin/python"), *sys.argv])
    return module


def fill(connection, first, rows, keys):
    folder = WORK / "lake/t/partition=0"
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"t+0+{first:010d}.snappy.parquet"
    connection.execute(FILL.format(keys=keys, first=first, end=first + rows, last=first + rows - 1, file=file))


def floor(files, statement):
    """Runs in a process of its own: its CPU and its peak memory are its own."""
    code = f"""
import duckdb
c = duckdb.connect()
c.execute("set memory_limit='{MEMORY}'; set temp_directory='{WORK}/tmp'")
c.execute(open('{WORK}/floor.sql').read()).fetchall()
"""
    source = f"read_parquet({files!r}, hive_partitioning = false)"
    (WORK / "floor.sql").write_text(statement.format(source=source))
    return measured([sys.executable, "-c", code])


def measured(command):
    begun = time.time()
    process = subprocess.Popen([str(part) for part in command], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    out, err = process.communicate()
    # `wait4` was done by communicate; the children's sums tell this one, because there is one at a time.
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = usage.ru_utime + usage.ru_stime
    spent, measured.before = cpu - measured.before, cpu
    if process.returncode:
        sys.exit(f"bench/scd2.py: {command[0]} ended with {process.returncode}: {err}")
    return {"wall_s": time.time() - begun, "cpu_s": spent, "out": out}


measured.before = 0.0


# Prints the peak memory of the one child that it runs.
PEAK = """
import resource, subprocess, sys
code = subprocess.run(sys.argv[1:]).returncode
print("peak", resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024)
sys.exit(code)
"""


def main():
    rows = int(sys.argv[2]) if sys.argv[1:2] == ["--rows"] else 10_000_000
    module = duckdb()
    if not BINARY.exists():
        sys.exit(f"bench/scd2.py: {BINARY} is missing: run make bench, which builds it")
    library = 'source dev/lib.sh; source dev/duckdb.sh; duckdb_install >&2; duckdb_lib_dir'
    found = subprocess.run(["bash", "-euc", library], cwd=REPO, check=True, capture_output=True, text=True)
    os.environ["LD_LIBRARY_PATH"] = found.stdout.strip()
    shutil.rmtree(WORK, ignore_errors=True)
    try:
        connection = module.connect()
        for first in range(0, rows, rows // FILES):
            fill(connection, first, rows // FILES, rows // 10)
        files = sorted(str(file) for file in (WORK / "lake").rglob("*.parquet"))
        scan = floor(files, "select count(*), sum(hash(f)::hugeint) from {source} f")
        narrow = floor(
            files,
            "select count(*) from (select lag(__source_lsn) over (partition by id order by __source_lsn) p from {source}) where p is null",
        )
        whole = floor(
            files,
            "select count(*), sum(hash(t)::hugeint) from "
            "(select *, lag(__source_lsn) over (partition by id order by __source_lsn) p from {source}) t",
        )
        build = scd2_run()
        again = scd2_run()
        fill(connection, rows, 10_000, rows // 10)
        small = scd2_run()
        show(rows, scan, narrow, whole, build, again, small)
    finally:
        shutil.rmtree(WORK, ignore_errors=True)


def scd2_run():
    command = [BINARY, "scd2", "run", "--json", "--source", WORK / "lake", "--database", WORK / "history.duckdb"]
    found = measured([sys.executable, "-c", PEAK, *command])
    report, _, peak = found["out"].rpartition("peak ")
    found["peak_mb"] = int(peak)
    found["table"] = json.loads(report)["tables"][0]
    return found


def show(rows, scan, narrow, whole, build, again, small):
    table = build["table"]
    if table["counts"]["rows"] != rows or small["table"]["counts"]["rows"] != 10_000:
        sys.exit(f"bench/scd2.py: void: not every row was read: {table['counts']}")
    print(f"{rows} changes of {rows // 10} keys in {FILES} Parquet objects; {table['versions']} versions")
    print(f"{'':44} {'seconds':>8} {'CPU-s':>7} {'peak MB':>8}")
    lines = [
        ("floor: full scan", scan),
        ("floor: one window, key and position", narrow),
        ("floor: one window, whole rows", whole),
        ("full build", build),
        ("run with nothing new", again),
        ("run with 10,000 new rows", small),
    ]
    for name, found in lines:
        peak = found.get("peak_mb", "")
        print(f"{name:44} {found['wall_s']:8.1f} {found['cpu_s']:7.1f} {peak:>8}")
    floor_s = scan["wall_s"] + whole["wall_s"]
    narrow_s = scan["wall_s"] + narrow["wall_s"]
    bar("full build beside the floor (scan + window over whole rows)", build["wall_s"] / floor_s, 3.0, "x")
    bar("peak memory of the full build", build["peak_mb"], 2048, " MB")
    bar("run with 10,000 new rows", small["wall_s"], 3.0, " s")
    print(f"full build beside the window alone {build['wall_s'] / whole['wall_s']:.1f} x, beside scan + narrow window {build['wall_s'] / narrow_s:.1f} x")


def bar(what, found, most, unit):
    print(f"{what}: {found:.1f}{unit}, at most {most}{unit}: {'held' if found <= most else 'MISSED'}")


if __name__ == "__main__":
    main()
