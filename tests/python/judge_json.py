"""Judges values by JSON Schemas with the jsonschema package.

Reads one JSON object a line, `schema` and `values` (texts), and writes for each a list of booleans; `format` is asserted up
to draft 7, as schemaward does.
"""

import json
import sys

from jsonschema import Draft4Validator, Draft6Validator, Draft7Validator, Draft202012Validator, validators

for line in sys.stdin:
    case = json.loads(line)
    validator = validators.validator_for(case["schema"], default=Draft202012Validator)
    validator.check_schema(case["schema"])
    asserts_formats = validator in (Draft4Validator, Draft6Validator, Draft7Validator)
    checker = validator.FORMAT_CHECKER if asserts_formats else None
    judge = validator(case["schema"], format_checker=checker)
    print(json.dumps([judge.is_valid(json.loads(value)) for value in case["values"]]))
