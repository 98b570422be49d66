"""Sends the records that stand on standard input, one JSON object a line, with confluent-kafka (librdkafka), and prints
what the delivery report of each says.

Arguments: BOOTSTRAP [SETTING=VALUE ...], settings as librdkafka names them. With a long linger.ms, the records of a
partition share a batch.
"""

import json
import sys

from confluent_kafka import Producer


def from_hex(text):
    return None if text is None else bytes.fromhex(text)


def send(producer, case, outcomes, index):
    def report(error, message):
        if error is None:
            outcomes[index] = {"ok": True, "offset": message.offset()}
        else:
            name, code, text = error.name(), error.code(), error.str()
            outcomes[index] = {"ok": False, "error": name, "code": code, "message": text}

    producer.produce(
        case["topic"],
        partition=case["partition"],
        key=from_hex(case["key"]),
        value=from_hex(case["value"]),
        headers=[(name, from_hex(value)) for name, value in case["headers"]],
        on_delivery=report,
    )


def main(bootstrap, *settings):
    pairs = dict(setting.split("=", 1) for setting in settings)
    producer = Producer({"bootstrap.servers": bootstrap, **pairs})
    outcomes = {}
    cases = [json.loads(line) for line in sys.stdin]
    for index, case in enumerate(cases):
        send(producer, case, outcomes, index)
    producer.flush(60)
    nothing = {"ok": False, "error": "NoReport", "message": "no delivery report within 60 s"}
    for index in range(len(cases)):
        print(json.dumps(outcomes.get(index, nothing)))


main(*sys.argv[1:])
