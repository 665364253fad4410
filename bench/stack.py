"""The parts that the benchmark runs on: servers of its own, a worker, and how to talk to them."""

import json
import os
import re
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path

REPO = Path(__file__).resolve().parent.parent
CACHE = Path(os.environ.get("FERROCONNECT_CACHE", Path.home() / ".cache/ferroconnect"))
TARGET = Path(os.environ.get("CARGO_TARGET_DIR", CACHE / "target")) / "release"
BINARY = Path(os.environ.get("FERROCONNECT_BINARY", TARGET / "ferroconnect"))
STATE = REPO / ".dev/bench"
DATABASE = "bench"


class BenchError(Exception):
    """Something that makes a run void; the text says what."""


class Services:
    """PostgreSQL, Kafka and an S3 server, apart from those of demo and tests."""

    def __init__(self, state=STATE):
        self.state = state
        self.environment = dict(
            os.environ,
            FERROCONNECT_DEV_DIR=str(state),
            # As on a server: the JVM's optimising compiler, no autovacuum between the runs.
            FERROCONNECT_KAFKA_JAVA_OPTS="-Xmx512m",
            FERROCONNECT_POSTGRES_OPTIONS="-c autovacuum=off -c shared_buffers=512MB",
        )

    def start(self):
        self._services("start")
        exports = self._services("env")
        found = dict(re.findall(r"^export (\w+)=(.*)$", exports, re.MULTILINE))
        self.found = found
        self.kafka = found["FERROCONNECT_TEST_KAFKA"]
        self.postgres = re.search(r"127\.0\.0\.1:\d+", found["FERROCONNECT_TEST_POSTGRES"]).group()
        self.s3 = found["FERROCONNECT_TEST_S3"]
        self.s3_dir = Path(found["FERROCONNECT_TEST_S3_DIR"])
        self.s3_keys = found["FERROCONNECT_TEST_S3_ACCESS_KEY"], found["FERROCONNECT_TEST_S3_SECRET_KEY"]
        self.library_path = found.get("LD_LIBRARY_PATH", "")

    def clean(self):
        self._services("clean")

    def pid(self, part):
        return int((self.state / part / "pid").read_text().split()[0])

    def _services(self, verb):
        done = subprocess.run(
            [REPO / "dev/services", verb], env=self.environment, stdout=subprocess.PIPE, text=True, timeout=600
        )
        if done.returncode != 0:
            raise BenchError(f"dev/services {verb} failed")
        return done.stdout

    def sql(self, text, database=DATABASE):
        """Runs SQL as superuser; the first column of the first row, or None."""
        url = f"postgres://postgres@{self.postgres}/{database}"
        done = subprocess.run(
            ["psql", "-qXAt", "-v", "ON_ERROR_STOP=1", "-d", url, "-c", text],
            capture_output=True,
            text=True,
            timeout=600,
        )
        if done.returncode != 0:
            raise BenchError(f"{done.stderr.strip()}\n  in: {text}")
        return done.stdout.strip() or None

    def versions(self):
        # The one that runs: the cache may have several.
        command = Path(f"/proc/{self.pid('kafka')}/cmdline").read_text().split("\0")
        jars = " ".join(p.name for p in Path(command[command.index("-cp") + 1]).parent.glob("kafka_*.jar"))
        return {
            "ferroconnect": tool_output([BINARY, "--version"], self.library_path).rpartition(" ")[2],
            "commit": tool_output(["git", "-C", REPO, "rev-parse", "--short", "HEAD"]),
            "postgresql": self.sql("show server_version", "postgres").split()[0],
            "kafka": (re.findall(r"kafka_2\.\d+-([\d.]+)\.jar", jars) or ["unknown"])[0],
            "rustc": tool_output(["rustc", "--version"]).split()[1],
        }


def tool_output(command, library_path=""):
    environment = dict(os.environ, LD_LIBRARY_PATH=library_path)
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout.strip()


def tool(*arguments, timeout=900):
    """Runs a command of ferroconnect-bench; what it found."""
    done = subprocess.run(
        [TARGET / "ferroconnect-bench", *map(str, arguments)], capture_output=True, text=True, timeout=timeout
    )
    if done.returncode != 0:
        raise BenchError(f"ferroconnect-bench {arguments[0]}: {done.stderr.strip()}")
    return json.loads(done.stdout)


class Watch:
    """Waits beside the measurement until a topic has its records."""

    def __init__(self, kafka, topic, rows, every_ms=25):
        command = [TARGET / "ferroconnect-bench", "watch", "--kafka", kafka, "--topic", topic]
        command += ["--rows", str(rows), "--every-ms", str(every_ms)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def wait(self, worker, timeout=900):
        """{"first": unix time, "all": unix time}; fails early when a task of the worker has."""
        deadline = time.monotonic() + timeout
        try:
            while True:
                try:
                    out, err = self.process.communicate(timeout=1)
                    break
                except subprocess.TimeoutExpired:
                    worker.check()
                    if time.monotonic() > deadline:
                        raise BenchError(f"waited {timeout} s for the topic") from None
        finally:
            self.process.kill()
        if self.process.returncode != 0:
            raise BenchError(err.strip() + worker.log_tail())
        return json.loads(out)


class Worker:
    """A worker process with an empty state database of its own."""

    STATE_DATABASE = "bench_state"

    def __init__(self, services):
        self.services = services
        self.process = None
        self.log = services.state / "worker.log"

    def forget(self):
        """Empties the state database."""
        self.services.sql(f"drop database if exists {self.STATE_DATABASE}", "postgres")
        self.services.sql(f"create database {self.STATE_DATABASE}", "postgres")

    def start(self, answering=True):
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        environment = dict(
            os.environ,
            FERROCONNECT_LISTENERS=self.url,
            FERROCONNECT_DATABASE_URL=f"postgres://postgres@{self.services.postgres}/{self.STATE_DATABASE}",
            FERROCONNECT_S3_ROTATE_IDLE_INTERVAL_MS="60000",
            BOOTSTRAP_SERVERS=self.services.kafka,
            GROUP_ID="ferroconnect-bench",
            AWS_ENDPOINT_URL_S3=self.services.s3,
            AWS_REGION="us-east-1",
            AWS_ACCESS_KEY_ID=self.services.s3_keys[0],
            AWS_SECRET_ACCESS_KEY=self.services.s3_keys[1],
            LD_LIBRARY_PATH=self.services.library_path,
        )
        with open(self.log, "w") as log:
            self.started = time.time()
            self.process = subprocess.Popen(
                [BINARY, "worker"], env=environment, stdout=log, stderr=log, stdin=subprocess.DEVNULL
            )
        if answering:
            self.wait_until_answering()

    def wait_until_answering(self, timeout=20):
        """Seconds from exec to the first answer of the REST API."""
        deadline = time.time() + timeout
        address = ("127.0.0.1", int(self.url.rpartition(":")[2]))
        while time.time() < deadline:
            try:
                with socket.create_connection(address, timeout=1):
                    pass
                self.call("GET", "/")
                return time.time() - self.started
            except (OSError, urllib.error.URLError):
                if self.process.poll() is not None:
                    break
                time.sleep(0.002)
        raise BenchError("the worker does not answer" + self.log_tail())

    @property
    def pid(self):
        return self.process.pid

    def stop(self):
        if self.process is None:
            return
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise BenchError("the worker did not end within 30 s of SIGTERM" + self.log_tail()) from None
        finally:
            self.process = None

    def call(self, method, path, body=None):
        request = urllib.request.Request(self.url + path, method=method)
        if body is not None:
            request.data = json.dumps(body).encode()
            request.add_header("Content-Type", "application/json")
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                text = answer.read()
        except urllib.error.HTTPError as error:
            raise BenchError(f"{method} {path}: {error.code} {error.read().decode()}") from None
        return json.loads(text) if text else None

    def post(self, name, config):
        self.call("POST", "/connectors", {"name": name, "config": config})

    def check(self):
        """Fails when a task has."""
        if self.process.poll() is not None:
            raise BenchError("the worker has ended" + self.log_tail())
        for name, entry in self.call("GET", "/connectors?expand=status").items():
            for task in entry["status"]["tasks"]:
                if task["state"] == "FAILED":
                    raise BenchError(f"{name} failed: {task.get('trace', '')}")

    def log_tail(self, lines=8):
        return "\nThe worker's log ends with:\n" + "\n".join(self.log.read_text().splitlines()[-lines:])


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
