"""Sends the records that stand on standard input, one JSON object a line, with confluent-kafka (librdkafka), and prints
what the delivery report of each says.

Arguments: BOOTSTRAP [SETTING=VALUE ...], settings as librdkafka names them. With a long linger.ms, the records of a
partition share a batch. One setting is not librdkafka's: `commit=true` makes it one transaction (with
`transactional.id`), which is aborted if anything failed. With `commit=attempt` it tries to commit such a one first, and
reports behind the records' outcomes how each commit ended.

A line {"flush": true} flushes, prints the outcomes of all records since the last one, and goes on with the same producer;
with `commit=true` it ends the transaction and begins the next one.

With `stream=true` nothing waits for anything: the outcome of each record is printed as soon as it is known, with the place
of its line as "index".
"""

import json
import sys
import threading

from confluent_kafka import KafkaException, Producer


def from_hex(text):
    return None if text is None else bytes.fromhex(text)


def failed(error):
    return {"ok": False, "error": error.name(), "code": error.code(), "message": error.str()}


def send(producer, case, take, index):
    def report(error, message):
        if error is None:
            take(index, {"ok": True, "offset": message.offset()})
        else:
            take(index, failed(error))

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


def cases_until_flush(lines):
    cases = []
    for line in lines:
        case = json.loads(line)
        if "flush" in case:
            return cases, True
        cases.append(case)
    return cases, False


def send_all(producer, cases):
    outcomes = {}
    for index, case in enumerate(cases):
        send(producer, case, outcomes.__setitem__, index)
    producer.flush(60)
    nothing = {"ok": False, "error": "NoReport", "message": "no delivery report within 60 s"}
    return [outcomes.get(index, nothing) for index in range(len(cases))]


def end(producer, ok, attempt):
    outcome = {"ok": True}
    if ok or attempt:
        try:
            producer.commit_transaction(60)
            return outcome
        except KafkaException as why:
            outcome = failed(why.args[0])
    producer.abort_transaction(60)
    return outcome


def main(bootstrap, *settings):
    pairs = dict(setting.split("=", 1) for setting in settings)
    commit = pairs.pop("commit", None)
    streams = pairs.pop("stream", None)
    producer = Producer({"bootstrap.servers": bootstrap, **pairs})
    if streams:
        stream(producer)
        return
    if commit:
        producer.init_transactions(60)
        producer.begin_transaction()
    goes_on = True
    while goes_on:
        cases, goes_on = cases_until_flush(sys.stdin)
        outcomes = send_all(producer, cases)
        if commit:
            ended = end(producer, all(it["ok"] for it in outcomes), commit == "attempt")
            if commit == "attempt":
                outcomes.append(ended)
            if goes_on:
                producer.begin_transaction()
        # Only now: who reads them knows that the transaction has ended.
        for outcome in outcomes:
            print(json.dumps(outcome), flush=True)


main(*sys.argv[1:])
