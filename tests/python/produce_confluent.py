"""Sends the records that stand on standard input, one JSON object a line, with confluent-kafka (librdkafka), and prints
what the delivery report of each says.

Arguments: BOOTSTRAP [SETTING=VALUE ...], settings as librdkafka names them. With a long linger.ms, the records of a
partition share a batch.

With stream=true nothing waits for anything: the outcome of each record is printed as soon as it is known, with the place of
its line as "index".
"""

import json
import sys
import threading

from confluent_kafka import Producer


def from_hex(text):
    return None if text is None else bytes.fromhex(text)


def send(producer, case, take, index):
    def report(error, message):
        if error is None:
            take(index, {"ok": True, "offset": message.offset()})
        else:
            name, code, text = error.name(), error.code(), error.str()
            take(index, {"ok": False, "error": name, "code": code, "message": text})

    producer.produce(
        case["topic"],
        partition=case["partition"],
        key=from_hex(case["key"]),
        value=from_hex(case["value"]),
        headers=[(name, from_hex(value)) for name, value in case["headers"]],
        on_delivery=report,
    )


def stream(producer):
    """A record may be handed over while delivery reports are served: on a thread of their own."""
    done = threading.Event()

    def serve():
        while not done.is_set():
            producer.poll(0.1)

    serving = threading.Thread(target=serve)
    serving.start()
    for index, line in enumerate(sys.stdin):
        report = lambda index, outcome: print(json.dumps({**outcome, "index": index}), flush=True)
        send(producer, json.loads(line), report, index)
    done.set()
    serving.join()
    producer.flush(120)


def main(bootstrap, *settings):
    pairs = dict(setting.split("=", 1) for setting in settings)
    streams = pairs.pop("stream", None) is not None
    producer = Producer({"bootstrap.servers": bootstrap, **pairs})
    if streams:
        stream(producer)
        return
    outcomes = {}
    cases = [json.loads(line) for line in sys.stdin]
    for index, case in enumerate(cases):
        send(producer, case, outcomes.__setitem__, index)
    producer.flush(60)
    nothing = {"ok": False, "error": "NoReport", "message": "no delivery report within 60 s"}
    for index in range(len(cases)):
        print(json.dumps(outcomes.get(index, nothing)))


main(*sys.argv[1:])
