"""Sends the records that stand on standard input, one JSON object a line, with aiokafka, and prints what it said of each.

Arguments: BOOTSTRAP [SETTING=VALUE ...], settings as aiokafka names them. Each record is sent by itself.
"""

import asyncio
import json
import sys

from aiokafka import AIOKafkaProducer


def from_hex(text):
    return None if text is None else bytes.fromhex(text)


async def send(producer, case):
    try:
        metadata = await producer.send_and_wait(
            case["topic"],
            partition=case["partition"],
            key=from_hex(case["key"]),
            value=from_hex(case["value"]),
            headers=[(name, from_hex(value)) for name, value in case["headers"]],
        )
    except Exception as error:
        code = getattr(error, "errno", None)
        return {"ok": False, "error": type(error).__name__, "code": code, "message": str(error)}
    return {"ok": True, "offset": metadata.offset}


async def main(bootstrap, *settings):
    pairs = dict(setting.split("=", 1) for setting in settings)
    pairs = {key: json.loads(value) for key, value in pairs.items()}
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap.split(","), **pairs)
    await producer.start()
    try:
        for line in sys.stdin:
            print(json.dumps(await send(producer, json.loads(line))), flush=True)
    finally:
        await producer.stop()


asyncio.run(main(*sys.argv[1:]))
