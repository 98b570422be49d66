"""Holds manifests against the JSON schemas of a version of Kubernetes: the version, then files of YAML or JSON.

One line for each document: its file, its kind, whether it has a native sidecar, and what is wrong with it.
"""

import json
import sys

import kubernetes_validate
import yaml


def read(path):
    with open(path, encoding="utf-8") as file:
        text = file.read()
    if not path.endswith(".json"):
        yield from yaml.safe_load_all(text)
        return
    at = 0
    while at < len(text.rstrip()):
        document, at = json.JSONDecoder().raw_decode(text, at)
        at += len(text[at:]) - len(text[at:].lstrip())
        yield document


def documents(path):
    for document in read(path):
        if document is None:
            continue
        if document.get("kind") == "List":
            yield from document["items"]
        else:
            yield document


def pods(value):
    """Everything below a value that looks like the specification of a pod."""
    if isinstance(value, dict):
        if "containers" in value:
            yield value
        for below in value.values():
            yield from pods(below)
    elif isinstance(value, list):
        for below in value:
            yield from pods(below)


def is_native_sidecar(container):
    return container["name"] == "schemaward" and container.get("restartPolicy") == "Always"


def main(version, *paths):
    for path in paths:
        for document in documents(path):
            error = None
            group = document["apiVersion"].split("/")[0]
            known = "." not in group or group.endswith(".k8s.io")
            if known and not group.endswith("config.k8s.io"):
                try:
                    kubernetes_validate.validate(document, version, strict=True)
                except kubernetes_validate.ValidationError as wrong:
                    where = "/".join(str(part) for part in wrong.path)
                    error = f"{where}: {wrong.message}"
            init = [it for pod in pods(document) for it in pod.get("initContainers", [])]
            line = {
                "file": path,
                "kind": document["kind"],
                "sidecar": any(is_native_sidecar(it) for it in init),
                "error": error,
            }
            print(json.dumps(line))


main(*sys.argv[1:])
