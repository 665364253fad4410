"""kafka-connect-py, which lists with `expand`, and restarts as KIP-745."""

from kafka_connect import KafkaConnect
from surface import URL, eventually, sink, states

NAME = "by-kafka-connect-py"
client = KafkaConnect(url=URL)

assert client.get_cluster_info()["version"] == "3.9.1"
classes = {plugin["class"] for plugin in client.list_connector_plugins()}
assert "io.confluent.connect.s3.S3SinkConnector" in classes
assert client.validate_connector_config("S3SinkConnector", sink(NAME))["error_count"] == 0

created = client.create_connector({"name": NAME, "config": sink(NAME)})
assert (created["name"], created["type"]) == (NAME, "sink"), created


def reaches(state: str) -> None:
    eventually(state, lambda: states(client.get_connector_status(NAME)) == {state})


reaches("RUNNING")
assert NAME in client.list_connectors()
assert NAME in client.list_connectors(expand="status", state="running")
assert client.list_connectors(expand="info", pattern="by-")[NAME]["info"]["config"] == sink(NAME)
assert client.get_connector(NAME)["tasks"] == [{"connector": NAME, "task": 0}]
assert client.get_connector_config(NAME) == sink(NAME)

client.pause_connector(NAME)
reaches("PAUSED")
client.resume_connector(NAME)
reaches("RUNNING")
client.restart_connector(NAME)
client.restart_connector(NAME, include_tasks=True)
reaches("RUNNING")
client.restart_connector_task(NAME, 0)
eventually("the task", lambda: client.get_connector_task_status(NAME, 0)["state"] == "RUNNING")
assert client.list_connector_tasks(NAME)[0]["config"]["flush.size"] == "10"

updated = client.update_connector(NAME, sink(NAME, **{"flush.size": "20"}))
assert updated["config"]["flush.size"] == "20"
reaches("RUNNING")
assert client.list_connector_topics(NAME)[NAME] == {"topics": []}
client.reset_connector_topics(NAME)

client.stop_connector(NAME)
eventually("the stop", lambda: client.get_connector_status(NAME)["connector"]["state"] == "STOPPED")
assert client.list_connector_tasks(NAME) == []
client.delete_connector(NAME)
assert NAME not in client.list_connectors()
