"""A member of a consumer group: prints {"assigned": [...]} whenever its partitions change and {"value": "hex"} for each
record, and leaves the group when its standard input ends.

Arguments: aiokafka|confluent BOOTSTRAP TOPIC GROUP [SETTING=VALUE ...], settings as the library names them.
"""

import asyncio
import json
import sys
import threading


class Member:
    """What it was given, and whether it shall stay."""

    def __init__(self):
        self.known = []
        self.input = threading.Thread(target=sys.stdin.read, daemon=True)
        self.input.start()

    def stays(self):
        return self.input.is_alive()

    def assigned(self, assignment):
        partitions = sorted(partition.partition for partition in assignment)
        if partitions != self.known:
            self.known = partitions
            print(json.dumps({"assigned": partitions}), flush=True)

    def read(self, value):
        print(json.dumps({"value": value.hex()}), flush=True)


async def aiokafka(bootstrap, topic, group, settings):
    from aiokafka import AIOKafkaConsumer

    member = Member()
    consumer = AIOKafkaConsumer(
        topic,
        bootstrap_servers=bootstrap.split(","),
        group_id=group,
        auto_offset_reset="earliest",
        **{key: int(value) if value.isdigit() else value for key, value in settings.items()},
    )
    await consumer.start()
    try:
        while member.stays():
            for records in (await consumer.getmany(timeout_ms=100)).values():
                for record in records:
                    member.read(record.value)
            member.assigned(consumer.assignment())
    finally:
        await consumer.stop()


def confluent(bootstrap, topic, group, settings):
    from confluent_kafka import Consumer

    member = Member()
    first = {"bootstrap.servers": bootstrap, "group.id": group, "auto.offset.reset": "earliest"}
    consumer = Consumer(first | settings)
    consumer.subscribe([topic])
    try:
        while member.stays():
            message = consumer.poll(0.1)
            if message is not None and message.error() is None:
                member.read(message.value())
            member.assigned(consumer.assignment())
    finally:
        consumer.close()


def main(library, bootstrap, topic, group, *settings):
    pairs = dict(setting.split("=", 1) for setting in settings)
    if library == "aiokafka":
        asyncio.run(aiokafka(bootstrap, topic, group, pairs))
    else:
        confluent(bootstrap, topic, group, pairs)


main(*sys.argv[1:])
