"""Applies manifests to a real API server over a real etcd. No controller and no kubelet is there: what is checked is what the
server takes, its own validation and the restricted Pod Security Standard included."""

import contextlib
import copy
import json
import pathlib
import socket
import ssl
import subprocess
import sys
import time
import urllib.error
import urllib.request

import admission

TOKEN = "of-this-run-only"
# What only the Prometheus operator knows.
FOREIGN = {"PodMonitor", "ServiceMonitor", "PrometheusRule"}


def apply(binary, folder, manifests, webhook, schemaward):
    with contextlib.ExitStack() as stack:
        server = start(stack, binary, folder)
        for at, (name, documents) in enumerate(manifests.items()):
            namespace = f"set-{at}"
            known = [one for one in documents if one["kind"] not in FOREIGN]
            for one in known:
                one["metadata"]["namespace"] = namespace
            labels = {f"pod-security.kubernetes.io/{what}": "restricted" for what in ("enforce", "warn")}
            space = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace, "labels": labels}}
            kubectl(server, folder, [space])
            said = kubectl(server, folder, known)
            # The application of a test may be as it likes; ours may not.
            if any(f'"{container}"' in said for container in ("schemaward", "check", "probe")):
                sys.exit(f"FAILED {name}: {said}")
            kubectl(server, folder, known)
            print(f"ok     {name}: {len(known)} manifests are applied, and again", flush=True)
        notices(server, folder, manifests["kustomize/gateway"])
        # Last: from here on the server asks somebody else.
        admission.judge(stack, server, folder, schemaward, webhook)


def notices(server, folder, documents):
    """That the server would have said so."""
    (deployment,) = [one for one in copy.deepcopy(documents) if one["kind"] == "Deployment"]
    container = deployment["spec"]["template"]["spec"]["containers"][0]
    container["securityContext"].pop("capabilities")
    said = kubectl(server, folder, [deployment])
    if "restricted" not in said or '"schemaward"' not in said:
        sys.exit(f"FAILED nothing is said of a container with capabilities: {said}")
    container["livenessProbe"]["httpGet"]["port"] = "no port of such a length"
    said = kubectl(server, folder, [deployment], refused=True)
    if "livenessProbe" not in said:
        sys.exit(f"FAILED nothing is said of a port that is none: {said}")
    print("ok     what breaks the restricted standard or Kubernetes' rules is refused", flush=True)


def start(stack, binary, folder):
    client, peer, port = free_ports(3)
    etcd = f"http://127.0.0.1:{client}"
    urls = ["--listen-client-urls", etcd, "--advertise-client-urls", etcd, "--listen-peer-urls", f"http://127.0.0.1:{peer}"]
    run(stack, folder / "etcd.log", ["etcd", "--data-dir", folder / "etcd", *urls])
    key, tokens = folder / "accounts.key", folder / "tokens.csv"
    subprocess.run(["openssl", "genrsa", "-out", key, "2048"], capture_output=True, check=True)
    tokens.write_text(f"{TOKEN},admin,admin,system:masters\n", encoding="ascii")
    options = {
        "etcd-servers": etcd,
        "bind-address": "127.0.0.1",
        "secure-port": port,
        "cert-dir": folder / "certificates",
        "service-cluster-ip-range": "10.96.0.0/16",
        "service-account-issuer": "https://kubernetes.default.svc",
        "service-account-key-file": key,
        "service-account-signing-key-file": key,
        "token-auth-file": tokens,
        "authorization-mode": "AlwaysAllow",
        # Accounts are made by a controller, which is not there.
        "disable-admission-plugins": "ServiceAccount",
    }
    log = folder / "kube-apiserver.log"
    process = run(stack, log, [binary, *(f"--{key}={value}" for key, value in options.items())])
    server = f"https://127.0.0.1:{port}"
    deadline = time.monotonic() + 120
    while not is_ready(server):
        if process.poll() is not None or time.monotonic() > deadline:
            sys.exit(f"FAILED kube-apiserver does not start\n{log.read_text(encoding='utf-8')[-4000:]}")
        time.sleep(0.5)
    return server


def run(stack, log, command):
    output = stack.enter_context(pathlib.Path(log).open("wb"))
    process = subprocess.Popen(command, stdout=output, stderr=output)

    def stop():
        process.terminate()
        process.wait()

    stack.callback(stop)
    return process


def is_ready(server):
    request = urllib.request.Request(f"{server}/readyz", headers={"Authorization": f"Bearer {TOKEN}"})
    try:
        with urllib.request.urlopen(request, timeout=5, context=ssl._create_unverified_context()) as response:
            return response.status == 200
    except (OSError, urllib.error.URLError):
        return False


def kubectl(server, folder, documents, *options, refused=False):
    """Applies these; everything that it says."""
    file = folder / "applied.json"
    file.write_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": documents}), encoding="utf-8")
    access = ["--server", server, "--token", TOKEN, "--insecure-skip-tls-verify", "--kubeconfig", "/dev/null"]
    command = ["kubectl", *access, "apply", "--server-side", "--validate=strict", *options, "--filename", file]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if (done.returncode != 0) != refused:
        sys.exit(f"FAILED exit code {done.returncode}: {done.stdout}{done.stderr}")
    return done.stdout if options else done.stdout + done.stderr


def free_ports(count):
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]
