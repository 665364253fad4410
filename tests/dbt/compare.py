#!/usr/bin/env python3
"""Applies one set of changes to a table that dbt snapshots and to change files, and compares the two histories.

Equal: the rows at the time of each dbt run; and of keys with one change between two runs, the whole intervals of updates.
Different, and shown: changes between two dbt runs are lost to dbt, and a delete has the time of the run that missed the row.
"""

import datetime
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import duckdb

DBT = sys.argv[1]
BINARY = os.environ["FERROCONNECT_BINARY"]
PROJECT = Path(__file__).resolve().parent / "project"
# What happens between two runs of dbt: (operation, id, value).
ROUNDS = [
    [("c", 1, "a"), ("c", 2, "b"), ("c", 3, "c"), ("c", 5, "once")],
    [("u", 1, "a2"), ("u", 2, "b2"), ("u", 2, "b3"), ("u", 2, "b4")],
    [("d", 3, None), ("u", 1, "a3"), ("c", 4, "d"), ("d", 4, None)],
    [("c", 3, "c again"), ("u", 1, "a4"), ("u", 2, "b5")],
]


def now():
    return datetime.datetime.now(datetime.timezone.utc).replace(tzinfo=None)


class Source:
    """The table as dbt sees it, and the change files as the sink writes them."""

    def __init__(self, work):
        self.database = work / "dbt.duckdb"
        self.lake = work / "lake"
        self.lake.mkdir()
        self.rows = {}
        self.offset = 0
        self.store()

    def apply(self, changes):
        lines = []
        for op, key, value in changes:
            # Two changes never have one time here: intervals can be compared to the microsecond.
            time.sleep(0.002)
            at = now()
            micros = (at - datetime.datetime(1970, 1, 1)) // datetime.timedelta(microseconds=1)
            if op == "d":
                del self.rows[key]
            else:
                self.rows[key] = (value, at)
            lsn = 1_000 + 8 * (self.offset + len(lines))
            row = {"id": key, "value": value, "updated_at": micros, "__op": op, "__source_ts_us": micros, "__source_lsn": lsn}
            lines.append(json.dumps(row))
        (self.lake / f"shop.items+0+{self.offset:010d}.json").write_text("\n".join(lines) + "\n")
        self.offset += len(lines)
        self.store()

    def store(self):
        connection = duckdb.connect(str(self.database))
        connection.execute("create or replace table items (id bigint, value varchar, updated_at timestamp)")
        for key, (value, at) in sorted(self.rows.items()):
            connection.execute("insert into items values (?, ?, ?)", [key, value, at])
        connection.close()


def snapshot(source, work):
    environment = dict(os.environ, COMPARED_DATABASE=str(source.database), DBT_SEND_ANONYMOUS_USAGE_STATS="false", TZ="UTC")
    command = [DBT, "snapshot", "--project-dir", PROJECT, "--profiles-dir", PROJECT, "--target-path", work / "target", "--log-path", work / "logs"]
    done = subprocess.run([str(part) for part in command], env=environment, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"dbt: {done.stdout}{done.stderr}")


def scd2(source, history):
    command = [BINARY, "scd2", "run", "--source", source.lake, "--database", history, "--config", history.with_suffix(".toml")]
    subprocess.run([str(part) for part in command], check=True, stdout=subprocess.DEVNULL)


def main():
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        source, history = Source(work), work / "history.duckdb"
        types = '[analytics.tables."shop.items".types]\nupdated_at = "timestamp_us"\n'
        history.with_suffix(".toml").write_text("[analytics]\n" + types)
        runs = []
        for changes in ROUNDS:
            source.apply(changes)
            snapshot(source, work)
            scd2(source, history)
            runs.append(now())
        compare(source, history, runs)


def compare(source, history, runs):
    # The PyPI module opens the file that the product has written, and its macros are there.
    connection = duckdb.connect(str(history), read_only=True)
    connection.execute(f"attach '{source.database}' as dbt (read_only)")
    for number, at in enumerate(runs, 1):
        ours = connection.execute("select id, value, updated_at from items_as_of(?) order by id", [at]).fetchall()
        theirs = connection.execute(
            "select id, value, updated_at from dbt.main.items_snapshot where dbt_valid_from <= $1 "
            "and (dbt_valid_to > $1 or dbt_valid_to is null) order by id",
            [at],
        ).fetchall()
        assert ours == theirs, f"at run {number}: {ours} and {theirs}"
    print(f"equal: the rows at each of {len(runs)} dbt runs")

    # Key 1 changes once between two runs, key 5 never: both histories are complete, interval by interval.
    intervals = "select id, value, {0}, {1} from {2} where id in (1, 5) order by id, {0}"
    ours = connection.execute(intervals.format("effective_from", "effective_to", "items")).fetchall()
    theirs = connection.execute(intervals.format("dbt_valid_from", "dbt_valid_to", "dbt.main.items_snapshot")).fetchall()
    assert ours == theirs and len(ours) == 5, f"{ours} and {theirs}"
    print("equal: every interval of keys that change at most once between two runs")

    def versions(key):
        mine = connection.execute("select count(*) from items where id = ?", [key]).fetchone()[0]
        dbt = connection.execute("select count(*) from dbt.main.items_snapshot where id = ?", [key]).fetchone()[0]
        return mine, dbt

    assert versions(2) == (5, 3), versions(2)
    assert versions(4) == (1, 0), versions(4)
    print("only the log knows: 2 of 5 versions of key 2, and key 4, which came and went between two runs")
    ends = "select min({0}) from {1} where id = 3"
    ours = connection.execute(ends.format("effective_to", "items")).fetchone()[0]
    theirs = connection.execute(ends.format("dbt_valid_to", "dbt.main.items_snapshot")).fetchone()[0]
    assert runs[1] < ours < runs[2] and ours < theirs, f"{runs[1]} {ours} {theirs}"
    print(f"only the log knows: when key 3 was deleted; dbt says {(theirs - ours).total_seconds():.1f} s later, when it ran")


if __name__ == "__main__":
    main()
