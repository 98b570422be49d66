"""Sends events with aiokafka and dataclasses-avroschema, and prints what the producer saw of each.

Arguments: BOOTSTRAP TOPIC [SETTING=VALUE ...], settings as aiokafka names them. Standard input: names of cases from
events.py, one a line. Each is sent by itself.
"""

import asyncio
import json
import sys

from aiokafka import AIOKafkaProducer

from events import cases


def setting(text):
    """A number or a truth value where it reads as one."""
    key, value = text.split("=", 1)
    try:
        return key, json.loads(value)
    except ValueError:
        return key, value


async def send(producer, topic, case):
    value, headers = case
    try:
        metadata = await producer.send_and_wait(topic, value=value, headers=headers, partition=0)
    except Exception as error:
        code = getattr(error, "errno", None)
        return {"ok": False, "error": type(error).__name__, "code": code, "message": str(error)}
    return {"ok": True, "offset": metadata.offset}


async def main(bootstrap, topic, *settings):
    producer = AIOKafkaProducer(
        bootstrap_servers=bootstrap.split(","), **dict(map(setting, settings))
    )
    await producer.start()
    try:
        known = cases()
        for name in sys.stdin.read().split():
            print(json.dumps(await send(producer, topic, known[name])), flush=True)
    finally:
        await producer.stop()


asyncio.run(main(*sys.argv[1:]))
