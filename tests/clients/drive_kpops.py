"""kpops, whose models refuse members that they do not know."""

import asyncio

from kpops.component_handlers.kafka_connect.exception import ConnectorNotFoundException
from kpops.component_handlers.kafka_connect.kafka_connect_api import KafkaConnect
from kpops.component_handlers.kafka_connect.model import ConnectorNewState, KafkaConnectorConfig
from kpops.config import KafkaConnectConfig
from surface import URL, sink

NAME = "by-kpops"


def config(**more: str) -> KafkaConnectorConfig:
    return KafkaConnectorConfig.model_validate(sink(NAME, **more))


async def drive() -> None:
    client = KafkaConnect(KafkaConnectConfig(url=URL))

    async def reaches(state: str, tasks: int) -> None:
        for _ in range(200):
            try:
                status = await client.get_connector_status(NAME)
            except Exception as error:  # just created: no status yet
                seen = [repr(error)]
            else:
                seen = [status.connector.state.value, *(task.state.value for task in status.tasks)]
            if seen == [state] * (1 + tasks):
                return
            await asyncio.sleep(0.1)
        raise AssertionError(f"{state} did not happen: {seen}")

    assert await client.validate_connector_config(config()) == []
    errors = await client.validate_connector_config(config(**{"flush.size": "many"}))
    assert any("flush.size" in error for error in errors), errors

    created = await client.create_connector(config(), ConnectorNewState.PAUSED)
    assert (created.name, created.type.value) == (NAME, "sink"), created
    await reaches("PAUSED", 0)
    await client.resume_connector(NAME)
    await reaches("RUNNING", 1)
    await client.pause_connector(NAME)
    await reaches("PAUSED", 1)
    await client.resume_connector(NAME)
    await reaches("RUNNING", 1)

    updated = await client.update_connector_config(config(**{"flush.size": "20"}))
    assert updated.config.model_dump()["flush.size"] == "20"
    assert (await client.get_connector(NAME)).tasks[0].connector == NAME

    await client.stop_connector(NAME)
    await reaches("STOPPED", 0)
    await client.reset_offset(NAME)
    await client.delete_connector(NAME)
    try:
        await client.get_connector(NAME)
    except ConnectorNotFoundException:
        return
    raise AssertionError("a deleted connector is still there")


asyncio.run(drive())
