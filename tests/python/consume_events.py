"""Reads events from the beginning with aiokafka and deserialises them with dataclasses-avroschema.

Arguments: BOOTSTRAP TOPIC COUNT. Prints one JSON object for each event, with the event or why it cannot be read.
"""

import asyncio
import json
import sys

from aiokafka import AIOKafkaConsumer

from events import deserialize

PATIENCE_SECONDS = 20


def describe(record):
    line = {"offset": record.offset, "headers": [[k, v.decode()] for k, v in record.headers]}
    try:
        return line | {"event": deserialize(record.value, record.headers).asdict()}
    except Exception as error:
        return line | {"error": f"{type(error).__name__}: {error}"}


async def main(bootstrap, topic, count):
    consumer = AIOKafkaConsumer(
        topic, bootstrap_servers=bootstrap.split(","), auto_offset_reset="earliest"
    )
    await consumer.start()
    try:
        for _ in range(int(count)):
            record = await asyncio.wait_for(consumer.getone(), PATIENCE_SECONDS)
            print(json.dumps(describe(record)), flush=True)
    finally:
        await consumer.stop()


asyncio.run(main(*sys.argv[1:]))
