"""kafka-connect-api, which asks with trailing slashes, and sets the levels of loggers."""

from kafka_connect_api.errors import GenericNotFound
from kafka_connect_api.kafka_connect_api import Api, Cluster
from surface import URL, eventually, sink, states

NAME = "by-kafka-connect-api"
host, port = URL.removeprefix("http://").split(":")
cluster = Cluster(Api(hostname=host, port=int(port)))

assert cluster.version == "3.9.1"
assert cluster.kafka_cluster
assert cluster.connectors == {}

cluster.api.post_raw("/connectors", json={"name": NAME, "config": sink(NAME)})
connector = cluster.connectors[NAME]
assert connector.exists()
assert connector.connector_class.endswith("S3SinkConnector")


def reaches(state: str) -> None:
    eventually(state, lambda: states(connector.status) == {state})


reaches("RUNNING")
connector.pause()
reaches("PAUSED")
assert connector.state == "PAUSED"
connector.resume()
reaches("RUNNING")
connector.restart()
connector.restart_all_tasks()
eventually("the tasks", lambda: [task.is_running() for task in connector.tasks] == [True])
connector.cycle_connector()
reaches("RUNNING")

connector.config = sink(NAME, **{"flush.size": "20"})
assert connector.config == sink(NAME, **{"flush.size": "20"})
assert connector.tasks[0].config["topics"] == f"{NAME}-topic"

level = cluster.root_logger["level"]
cluster.root_logger = "WARN"
assert cluster.root_logger["level"] == "WARN"
assert cluster.set_logger_log_level("ferroconnect::rest", "DEBUG") == ["ferroconnect::rest"]
cluster.root_logger = level

connector.delete()
assert NAME not in cluster.connectors
try:
    connector.config
except GenericNotFound as error:
    assert "not found" in str(error), error
else:
    raise AssertionError("a deleted connector has a configuration")
