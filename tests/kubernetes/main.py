"""Renders what is in deploy/ and judges it. Run by scripts/manifests, which brings the tools."""

import argparse
import json
import pathlib
import shutil
import subprocess
import sys
import tempfile

import kubernetes_validate
import yaml

import admission
import apiserver
import configuration
import mutations
import promises

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
CHART = ROOT / "deploy/helm/schemaward"
KUSTOMIZE = ROOT / "deploy/kustomize"
WEBHOOK = ROOT / "deploy/webhook"
# The first Kubernetes with native sidecars on by default, and the newest whose schemas there are.
VERSIONS = ["1.29.0", "1.37.0"]
# Values that must be refused, and by which words.
REFUSED = {
    "mode: both": "mode",
    "startup: sometime": "startup",
    "gateway: {replica: 2}": "replica",
    "image: {repository: x, digest: sha256:12}": "digest",
    "secrets: [{name: a, mountPath: relative}]": "mountPath",
    "config: {registry: {url: http://r}}": "config.upstream.bootstrap is missing",
    "config: {upstream: {bootstrap: [k:1]}}": "config.registry is missing",
    "{mode: gateway, config: {upstream: {bootstrap: [k:1]}, registry: {url: http://r}}}": "config.listen.client_auth is missing",
    "{mode: gateway, gateway: {services: per-broker}, config: {listen: {client_auth: none}, upstream: {bootstrap: [k:1]}, "
    "registry: {url: http://r}}}": "gateway.brokers is missing",
    "{mode: gateway, gateway: {services: per-broker, brokers: [7]}, config: {listen: {client_auth: none, broker_ports: 9100-9102}, "
    "upstream: {bootstrap: [k:1]}, registry: {url: http://r}}}": "no port for node 7",
    "configFile: 'listen: ['": "configFile",
    "{configFile: 'admin: {}', existingConfigMap: mine, application: {enabled: true, image: x}}": "admin.probes_listen is missing",
    "{existingConfigMap: mine, application: {enabled: true}}": "application.image is missing",
}


def main():
    arguments = parse_arguments()
    with tempfile.TemporaryDirectory() as folder:
        judge(arguments, pathlib.Path(folder))
    print("\nall manifests are sound")


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ["binary", "helm", "kubeconform", "kustomize"]:
        parser.add_argument(f"--{name}", type=pathlib.Path, required=True)
    parser.add_argument("--api-server", type=pathlib.Path)
    return parser.parse_args()


def judge(tools, folder):
    rendered = dict(render(tools, folder))
    webhook = output(tools.kustomize, "build", WEBHOOK)
    files = []
    for name, text in [*rendered.items(), ("webhook", webhook)]:
        file = folder / f"{name.replace('/', '-')}.yaml"
        file.write_text(text, encoding="utf-8")
        files.append(file)
    conform(tools, folder, files)
    manifests = {name: [one for one in yaml.safe_load_all(text) if one] for name, text in rendered.items()}
    for name, documents in manifests.items():
        for what in promises.broken(documents):
            fail(f"{name}: {what}")
        checked = configuration.check(tools.binary, documents)
        step(f"{name}: {len(documents)} manifests keep what they promise, {checked} configurations are sound")
    step(f"{mutations.check(manifests)} changes that break a promise are noticed")
    same(manifests)
    refuse(tools, folder)
    if tools.api_server:
        webhook = [one for one in yaml.safe_load_all(webhook) if one]
        apiserver.apply(tools.api_server, folder, manifests, webhook, tools.binary)


def render(tools, folder):
    """Name and text of everything that deploy/ can become."""
    for values in sorted((CHART / "ci").glob("*.yaml")):
        output(tools.helm, "lint", "--strict", CHART, "--values", values, "--kube-version", VERSIONS[-1])
        yield f"helm/{values.stem.removesuffix('-values')}", template(tools, CHART, "--values", values)
    rules = ROOT / "deploy/monitoring/rules.yaml"
    if rules.is_file():
        more = ["--set", "prometheusRule.enabled=true", "--set-file", f"prometheusRule.rules={rules}"]
        yield "helm/rules", template(tools, CHART, "--values", CHART / "ci/sidecar-values.yaml", *more)
    yield "helm/named-templates", template(tools, parent_chart(folder))
    for overlay in sorted((KUSTOMIZE / "overlays").iterdir()):
        yield f"kustomize/{overlay.name}", output(tools.kustomize, "build", overlay)
    for file in sorted((ROOT / "deploy/kubernetes").glob("*.yaml")):
        yield f"kubernetes/{file.stem}", file.read_text(encoding="utf-8")


def template(tools, chart, *more):
    return output(tools.helm, "template", "orders", chart, "--namespace", "shop", "--kube-version", VERSIONS[-1], *more)


def parent_chart(folder):
    """A chart with an application of its own, which takes the sidecar from the named templates as deploy/README.md says."""
    chart = folder / "parent"
    shutil.copytree(CHART, chart / "charts/schemaward")
    shutil.copytree(ROOT / "tests/kubernetes/parent_chart", chart, dirs_exist_ok=True)
    return chart


def conform(tools, folder, files):
    """Every field is one that Kubernetes knows; what only the Prometheus operator knows is left out."""
    for version in VERSIONS:
        name = f"v{version}-local-strict"
        source = pathlib.Path(kubernetes_validate.__file__).parent / "kubernetes-json-schema" / name
        for file in source.glob("*.json"):
            target = folder / name / file.name
            target.parent.mkdir(exist_ok=True)
            # They name each other by an address on the web, which is not to be asked.
            schema = json.loads(file.read_text(encoding="utf-8").replace('"/api/_definitions', '"_definitions'))
            schema.pop("$id", None)
            target.write_text(json.dumps(schema), encoding="utf-8")
        location = f"{folder}/{name}/{{{{.ResourceKind}}}}{{{{.KindSuffix}}}}.json"
        skipped = ",".join(apiserver.FOREIGN | admission.FOREIGN)
        said = output(
            tools.kubeconform, "-strict", "-summary", "-kubernetes-version", version, "-skip", skipped,
            "-schema-location", location, *files,
        )  # fmt: skip
        step(f"kubeconform, Kubernetes {version}: {said.strip()}")


def same(manifests):
    """However it is put beside an application, or set up as a gateway, it is the same container."""
    pairs = [
        ("helm/sidecar", "kustomize/sidecar"),
        ("helm/sidecar", "kubernetes/sidecar"),
        ("helm/sidecar", "helm/named-templates"),
        ("helm/gateway", "kustomize/gateway"),
    ]
    for left, right in pairs:
        ours, theirs = (promises.container_of(manifests[name]) for name in (left, right))
        if ours != theirs:
            fail(f"{left} and {right} differ:\n{yaml.dump(ours)}\n---\n{yaml.dump(theirs)}")
        step(f"{left} and {right} have the same container")


def refuse(tools, folder):
    """Mistakes in values are told when the chart is rendered."""
    sound = CHART / "ci/sidecar-values.yaml"
    for values, words in REFUSED.items():
        file = folder / "values.yaml"
        file.write_text(values, encoding="utf-8")
        whole = "config" in values or "Config" in values
        more = [] if whole else ["--values", sound]
        command = [tools.helm, "template", "orders", CHART, "--kube-version", VERSIONS[-1], *more, "--values", file]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode == 0 or words not in done.stderr:
            fail(f"not refused with {words!r}: {values}\n{done.stderr}")
    step(f"{len(REFUSED)} mistakes in values are refused")


def output(*command):
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        fail(f"{' '.join(map(str, command))}\n{done.stdout}{done.stderr}")
    return done.stdout


def step(what):
    print(f"ok     {what}", flush=True)


def fail(what):
    sys.exit(f"FAILED {what}")


if __name__ == "__main__":
    main()
