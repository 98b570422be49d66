"""Applies a JSON Patch to a manifest and holds the result against the JSON schemas of a version of Kubernetes."""

import json
import sys

import jsonpatch
import kubernetes_validate

given = json.load(sys.stdin)
document = jsonpatch.apply_patch(given["document"], given["patch"])
error = None
# What a client sends has no such null; what the API server sends to a webhook has.
document_without_null = json.loads(json.dumps(document))
document_without_null["metadata"].pop("creationTimestamp", None)
try:
    kubernetes_validate.validate(document_without_null, sys.argv[1], strict=True)
except kubernetes_validate.ValidationError as wrong:
    error = f"{'/'.join(str(part) for part in wrong.path)}: {wrong.message}"
print(json.dumps({"document": document, "error": error}))
