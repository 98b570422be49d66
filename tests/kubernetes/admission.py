"""Sets the webhook of deploy/webhook up at a real API server, which asks a running `schemaward webhook` about real pods."""

import base64
import copy
import json
import subprocess
import sys
import time
import urllib.error
import urllib.request

import apiserver

NAMESPACE = "asking"
VARIABLE = "KAFKA_BOOTSTRAP_SERVERS"
BROKERS = "kafka-0:9092,kafka-1:9092"
# What only cert-manager knows.
FOREIGN = {"Certificate", "Issuer"}


def judge(stack, server, folder, binary, manifests):
    known = [one for one in manifests if one["kind"] not in FOREIGN]
    apiserver.kubectl(server, folder, [one for one in known if one["kind"] == "Namespace"])
    said = apiserver.kubectl(server, folder, known)
    if "Warning" in said:
        sys.exit(f"FAILED webhook: {said}")
    apiserver.kubectl(server, folder, known)
    print(f"ok     webhook: {len(known)} manifests are applied, and again", flush=True)

    process, configuration = start(stack, folder, binary, known)
    space = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}
    apiserver.kubectl(server, folder, [space, configuration])
    wait_until(lambda: is_injected(create(server, folder, pod("first", asks=True), dry_run=True)), "the webhook is asked")

    injected = create(server, folder, pod("asks", asks=True))
    if not is_injected(injected):
        fail("a pod that asks for the sidecar is stored without it", injected)
    plain = create(server, folder, pod("silent", asks=False))
    if is_injected(plain) or variable(plain["spec"]["containers"][0]) != BROKERS:
        fail("a pod that does not ask is changed", plain)
    impossible = pod("impossible", asks=True)
    impossible["spec"]["containers"][0].pop("env")
    said = apiserver.kubectl(server, folder, [impossible], refused=True)
    if VARIABLE not in said or "schemaward" not in said:
        fail("it is not said why a pod cannot have the sidecar", said)

    process.terminate()
    process.wait()
    said = apiserver.kubectl(server, folder, [pod("later", asks=True)], refused=True)
    if "failed calling webhook" not in said:
        fail("a pod that asks is not refused for the webhook being away", said)
    create(server, folder, pod("later-silent", asks=False))
    print("ok     webhook: who asks gets the sidecar or no pod at all, nobody else waits for it", flush=True)


def start(stack, folder, binary, known):
    """A running webhook, and the configuration with its address in place of the Service's."""
    port, probes = apiserver.free_ports(2)
    certificate, key = folder / "webhook.crt", folder / "webhook.key"
    make = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"]
    names = ["-subj", "/CN=schemaward-webhook", "-addext", "subjectAltName=IP:127.0.0.1"]
    subprocess.run([*make, *names, "-keyout", key, "-out", certificate], capture_output=True, check=True)

    (deployment,) = [one for one in known if one["kind"] == "Deployment"]
    replaced = {
        "--tls-certificate": certificate, "--tls-key": key, "--probes-listen": f"127.0.0.1:{probes}",
        "--listen": f"127.0.0.1:{port}",
    }  # fmt: skip
    arguments = dict(one.split("=", 1) for one in deployment["spec"]["template"]["spec"]["containers"][0]["args"][1:])
    command = [binary, "webhook", *(f"{name}={value}" for name, value in (arguments | replaced).items())]
    process = apiserver.run(stack, folder / "webhook.log", command)
    wait_until(lambda: is_ready(probes), "the webhook is ready")

    (configuration,) = [copy.deepcopy(one) for one in known if one["kind"] == "MutatingWebhookConfiguration"]
    for webhook in configuration["webhooks"]:
        path = webhook["clientConfig"].pop("service")["path"]
        authority = base64.b64encode(certificate.read_bytes()).decode()
        webhook["clientConfig"] = {"url": f"https://127.0.0.1:{port}{path}", "caBundle": authority}
    return process, configuration


def pod(name, asks):
    labels = {"schemaward.io/inject": "true"} if asks else {"app": "orders"}
    metadata = {"name": name, "namespace": NAMESPACE, "labels": labels}
    metadata["annotations"] = {"schemaward.io/bootstrap-env": VARIABLE}
    container = {"name": "orders", "image": "orders:1", "env": [{"name": VARIABLE, "value": BROKERS}]}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": {"containers": [container]}}


def create(server, folder, one, dry_run=False):
    """What the server makes of it."""
    return json.loads(apiserver.kubectl(server, folder, [one], "--output=json", *["--dry-run=server"] * dry_run))


def is_injected(one):
    ours = [each for each in one["spec"].get("initContainers", []) if each["name"] == "schemaward"]
    return (
        len(ours) == 1
        and ours[0].get("restartPolicy") == "Always"
        and variable(ours[0], "SCHEMAWARD_UPSTREAM__BOOTSTRAP") == BROKERS
        and variable(one["spec"]["containers"][0]) == "127.0.0.1:9092"
        and one["metadata"]["annotations"].get("schemaward.io/listener") == "127.0.0.1:9092"
    )


def variable(container, name=VARIABLE):
    return {each["name"]: each.get("value") for each in container.get("env", [])}.get(name)


def is_ready(port):
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=5) as response:
            return response.status == 200
    except (OSError, urllib.error.URLError):
        return False


def wait_until(holds, what):
    deadline = time.monotonic() + 60
    while not holds():
        if time.monotonic() > deadline:
            sys.exit(f"FAILED not within a minute: {what}")
        time.sleep(0.2)


def fail(what, said):
    sys.exit(f"FAILED {what}: {said if isinstance(said, str) else json.dumps(said, indent=2)}")
