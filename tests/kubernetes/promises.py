"""What the manifests of deploy/ promise beyond being well-formed."""

import re

import yaml

HARDENED = {
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "readOnlyRootFilesystem": True,
    "runAsNonRoot": True,
    "runAsUser": 65532,
    "runAsGroup": 65532,
    "seccompProfile": {"type": "RuntimeDefault"},
}
# Where `drain.grace` is not configured.
DRAIN_GRACE = 25


def broken(documents):
    """Every promise that these manifests, which belong together, do not keep."""
    pods = {one["metadata"]["name"]: one["spec"]["template"] for one in documents if one["kind"] == "Deployment"}
    tests = {one["metadata"]["name"]: one for one in documents if one["kind"] == "Pod"}
    for name, pod in (pods | tests).items():
        for what in [*pod_is_safe(pod), *files_are_mounted(documents, pod)]:
            yield f"{name}: {what}"
    for name, pod in pods.items():
        for what in runs_as_it_should(documents, pod):
            yield f"{name}: {what}"
    yield from selectors_meet(documents, pods)
    yield from services_lead_somewhere(documents, pods)


def own_containers(spec):
    """Those with our program, and whether each is a sidecar."""
    for container in spec.get("initContainers", []):
        if container["args"][0] in ("run", "check", "probe") and container["name"] == "schemaward":
            yield container, True
    for container in spec["containers"]:
        if container["name"] in ("schemaward", "check", "probe"):
            yield container, False


def container_of(documents):
    """The container that runs the proxy, without what depends on whom it serves: where its files are and how clients reach it."""
    (pod,) = [one["spec"]["template"] for one in documents if one["kind"] == "Deployment"]
    ((container, _),) = own_containers(pod["spec"])
    left_out = {"volumeMounts", "imagePullPolicy"}
    return {key: value for key, value in container.items() if key not in left_out}


def pod_is_safe(pod):
    spec = pod["spec"]
    if spec.get("automountServiceAccountToken") is not False:
        yield "a token of the service account is mounted"
    for container, _ in own_containers(spec):
        if container["securityContext"] != HARDENED:
            yield f"securityContext is {container['securityContext']}"
        if "lifecycle" in container:
            yield "has a hook: SIGTERM drains"
        for mount in container["volumeMounts"]:
            if "subPath" in mount or "subPathExpr" in mount:
                yield f"{mount['mountPath']} is a subPath, where changes do not arrive"
            if not mount.get("readOnly"):
                yield f"{mount['mountPath']} can be written to"
            if mount["name"] not in [volume["name"] for volume in spec["volumes"]]:
                yield f"there is no volume {mount['name']}"


def config_of(documents, pod):
    """The configuration that a pod has, where it is among these manifests."""
    maps = {one["metadata"]["name"]: one["data"] for one in documents if one["kind"] == "ConfigMap"}
    for volume in pod["spec"]["volumes"]:
        if volume["name"] == "schemaward-config":
            data = maps.get(volume["configMap"]["name"])
            return yaml.safe_load(data["schemaward.yaml"]) if data else None
    return None


def files_are_mounted(documents, pod):
    """Every file that the configuration names is below a mount that is not the one of the configuration itself."""
    named = re.findall(r"/etc/schemaward/[^\s'\",}]+", yaml.dump(config_of(documents, pod)))
    for container, _ in own_containers(pod["spec"]):
        mounts = [mount["mountPath"] for mount in container["volumeMounts"] if mount["name"] != "schemaward-config"]
        for file in named:
            if not any(file == mount or file.startswith(f"{mount}/") for mount in mounts):
                yield f"{file} is not mounted into {container['name']}"


def runs_as_it_should(documents, pod):
    spec = pod["spec"]
    ours = list(own_containers(spec))
    if not ours:
        yield "there is no schemaward"
    for container, sidecar in ours:
        yield from probes(container, sidecar)
        if sidecar != (container.get("restartPolicy") == "Always"):
            yield f"restartPolicy is {container.get('restartPolicy')}"
        if sidecar and spec["initContainers"][0] is not container:
            yield "the sidecar is not the first of the init containers"
        if "memory" not in container["resources"]["limits"] or "cpu" in container["resources"]["limits"]:
            yield f"limits are {container['resources']['limits']}"
        config = config_of(documents, pod)
        if config:
            yield from fits(config, container, sidecar, spec)


def probes(container, sidecar):
    paths = {kind: container.get(f"{kind}Probe", {}).get("httpGet", {}) for kind in ("startup", "liveness", "readiness")}
    for kind, get in paths.items():
        if get and get["port"] != "probes":
            yield f"the {kind} probe asks {get['port']}"
    paths = {kind: get.get("path") for kind, get in paths.items()}
    # A sidecar that waits is ready once it has started, and stays so.
    startup = ["/livez", "/readyz"] if sidecar else ["/livez"]
    rest = {"liveness": "/livez", "readiness": None if sidecar else "/readyz"}
    if paths.pop("startup") not in startup or paths != rest:
        yield f"probes are {paths}"


def fits(config, container, sidecar, spec):
    """Manifest and configuration say the same."""
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    host, port = config["admin"]["probes_listen"].rsplit(":", 1)
    if int(port) != ports["probes"] or host != "0.0.0.0":
        yield f"kubelet asks port {ports['probes']}, admin.probes_listen is {host}:{port}"
    if config["admin"].get("listen", "127.0.0.1:0").rsplit(":", 1)[0] != "127.0.0.1":
        yield "admin.listen can be reached from elsewhere"
    host, port = config["listen"]["bootstrap"].rsplit(":", 1)
    if host != ("127.0.0.1" if sidecar else "0.0.0.0"):
        yield f"listen.bootstrap is {host}"
    if sidecar:
        addresses = [one["value"] for each in spec["containers"] for one in each.get("env", [])]
        if f"127.0.0.1:{port}" not in addresses:
            yield f"no container is told 127.0.0.1:{port}"
    elif ports["kafka"] != int(port):
        yield f"the container's port is {ports['kafka']}, listen.bootstrap has {port}"
    grace = int(config.get("drain", {}).get("grace", f"{DRAIN_GRACE}s").removesuffix("s"))
    if spec["terminationGracePeriodSeconds"] < grace + 5:
        yield f"terminationGracePeriodSeconds is {spec['terminationGracePeriodSeconds']}, drain.grace {grace} s"


def selectors_meet(documents, pods):
    """What selects pods selects those of these manifests, and not everything."""
    for one in documents:
        spec = one.get("spec", {})
        selector = {
            "Service": lambda spec: spec["selector"],
            "PodDisruptionBudget": lambda spec: spec["selector"].get("matchLabels"),
            "NetworkPolicy": lambda spec: spec["podSelector"].get("matchLabels"),
            "Deployment": lambda spec: spec["selector"]["matchLabels"],
            "PodMonitor": lambda spec: spec["selector"].get("matchLabels"),
        }.get(one["kind"])
        if selector is None:
            continue
        wanted = selector(spec)
        name = f"{one['kind']} {one['metadata']['name']}"
        if not wanted:
            yield f"{name} selects everything"
        elif pods and not any(wanted.items() <= pod["metadata"]["labels"].items() for pod in pods.values()):
            yield f"{name} selects nothing: {wanted}"
    names = [one["spec"]["scaleTargetRef"]["name"] for one in documents if one["kind"] == "HorizontalPodAutoscaler"]
    for name in set(names) - pods.keys():
        yield f"there is no Deployment {name} to scale"
    for one in documents:
        if one["kind"] == "Deployment" and "replicas" in one["spec"] and one["metadata"]["name"] in names:
            yield "replicas are set, and scaled too"


def services_lead_somewhere(documents, pods):
    """Every Service ends at a port that is listened to, and every address that clients are told is one of a Service."""
    services = {one["metadata"]["name"]: one for one in documents if one["kind"] == "Service"}
    if not services:
        return
    (pod,) = pods.values()
    config = config_of(documents, pod)
    listen = config["listen"]
    nodes = broker_ports(listen)
    bootstrap = int(listen["bootstrap"].rsplit(":", 1)[1])
    for name, service in services.items():
        for port in service["spec"]["ports"]:
            if port["targetPort"] not in {"probes", bootstrap, *nodes.values()}:
                yield f"Service {name}: nobody listens to {port['targetPort']}"
    host = listen["advertised_host"]
    if not host.endswith(".svc"):
        return
    per_node = "{node_id}" in host
    told = [int(name.rsplit("-", 1)[1]) for name in services if re.search(r"-\d+$", name)] if per_node else nodes
    if not told:
        yield "there is no Service for any broker"
    for node in told:
        name = host.replace("{node_id}", str(node)).split(".")[0]
        if name not in services:
            yield f"clients are told {name} for node {node}: there is no Service of that name"
            continue
        public = listen.get("advertised_port") or (nodes[node] if nodes else bootstrap)
        ports = {port["port"]: port["targetPort"] for port in services[name]["spec"]["ports"]}
        wanted = nodes[node] if nodes else bootstrap
        if ports.get(public) != wanted:
            yield f"clients are told {name}:{public} for node {node}, which does not lead to {wanted}"


def broker_ports(listen):
    """Node id → local port; none where brokers are told apart by server name."""
    if listen.get("routing") == "server_name":
        return {}
    given = listen["broker_ports"]
    ranges = [{"nodes": None, "ports": given}] if isinstance(given, str) else given
    nodes = {}
    for one in ranges:
        first, last = map(int, one["ports"].split("-"))
        node = int(one["nodes"].split("-")[0]) if one["nodes"] else 0
        nodes |= {node + port - first: port for port in range(first, last + 1)}
    return nodes
