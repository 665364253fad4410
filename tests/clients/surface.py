"""What the drivers of the clients have in common: the connector that they handle, and waiting."""

import sys
import time

URL = sys.argv[1]


def sink(name: str, **more: str) -> dict[str, str]:
    """A sink that runs without anything: its topic never comes."""
    return {
        "connector.class": "io.confluent.connect.s3.S3SinkConnector",
        "name": name,
        "topics": f"{name}-topic",
        "s3.bucket.name": "clients",
        "s3.region": "us-east-1",
        "flush.size": "10",
        "storage.class": "io.confluent.connect.s3.storage.S3Storage",
        "format.class": "io.confluent.connect.s3.format.json.JsonFormat",
        **more,
    }


def eventually(what: str, condition, seconds: float = 20):
    """Waits until `condition` gives something true, and returns it.

    Clients raise on a 404, and a connector that was just created has no status yet.
    """
    deadline = time.monotonic() + seconds
    seen = None
    while time.monotonic() < deadline:
        try:
            seen = condition()
        except Exception as error:
            seen, last = None, error
        else:
            last = seen
        if seen:
            return seen
        time.sleep(0.1)
    raise AssertionError(f"{what} did not happen within {seconds} s: {last!r}")


def states(status: dict) -> set[str]:
    """The states of a connector and its tasks."""
    return {status["connector"]["state"], *(task["state"] for task in status["tasks"])}
