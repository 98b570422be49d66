"""Reads Avro data with fastavro, and writes the valid ones as JSON with fastavro and with dataclasses-avroschema.

Each line of standard input is {"schema": "...", "valid": 10, "data": ["hex", ...]}, valid ones first; each line of output is
{"verdicts": [...], "json": [...]}: for each datum the number of bytes that were read or what was wrong, and what the valid ones are
in JSON.
"""

import io
import json
import sys

import fastavro
from dataclasses_avroschema import serialization


def read(schema, datum):
    stream = io.BytesIO(datum)
    try:
        return fastavro.schemaless_reader(stream, schema), stream.tell()
    except Exception as refused:
        return None, f"{type(refused).__name__}: {refused}"


def in_json(schema, value):
    text = io.StringIO()
    try:
        fastavro.json_writer(text, schema, [value])
    except Exception:
        # Its writer does not get by with empty keys and some recursive types. The test counts what is left.
        return
    yield text.getvalue()
    if isinstance(schema, dict):
        yield serialization.serialize(value, schema, serialization_type="avro-json").decode()


def main():
    for line in sys.stdin:
        task = json.loads(line)
        schema = fastavro.parse_schema(json.loads(task["schema"]))
        results = [read(schema, bytes.fromhex(datum)) for datum in task["data"]]
        texts = [text for value, _ in results[: task["valid"]] for text in in_json(schema, value)]
        print(json.dumps({"verdicts": [verdict for _, verdict in results], "json": texts}))


main()
