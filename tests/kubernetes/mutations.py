"""Proof that promises.py notices: sound manifests with one thing changed have to be refused, each by its own words."""

import copy
import sys

import promises

SIDECAR, GATEWAY = "helm/sidecar-full", "helm/gateway"


def check(manifests):
    """The number of changes, all of which were noticed; ends the program where one was not."""
    for which, change, words in CHANGES:
        documents = copy.deepcopy(manifests[which])
        change(Parts(documents))
        found = list(promises.broken(documents))
        if not any(words in what for what in found):
            sys.exit(f"FAILED a change of {which} goes unnoticed, wanted {words!r}: {found}")
    return len(CHANGES)


class Parts:
    """Short names for what is changed."""

    def __init__(self, documents):
        self.documents = documents
        self.pod = self.of("Deployment")["spec"]["template"]["spec"]
        ((self.container, _),) = promises.own_containers(self.pod)
        self.data = self.of("ConfigMap")["data"]

    def of(self, kind):
        return next(one for one in self.documents if one["kind"] == kind)

    def config(self, old, new):
        text = self.data["schemaward.yaml"]
        assert old in text, f"{old} is not in the configuration"
        self.data["schemaward.yaml"] = text.replace(old, new)


CHANGES = [
    (SIDECAR, lambda it: it.container.pop("restartPolicy"), "restartPolicy is None"),
    (SIDECAR, lambda it: it.pod["initContainers"].insert(0, {"name": "other", "args": [""]}), "not the first"),
    (SIDECAR, lambda it: it.container["startupProbe"]["httpGet"].update(path="/"), "probes are"),
    (SIDECAR, lambda it: it.container.update(readinessProbe={"httpGet": {"path": "/readyz", "port": "probes"}}), "probes are"),
    (SIDECAR, lambda it: it.container["livenessProbe"]["httpGet"].update(port=9464), "liveness probe asks 9464"),
    (SIDECAR, lambda it: it.container["securityContext"].update(readOnlyRootFilesystem=False), "securityContext is"),
    (SIDECAR, lambda it: it.container.update(lifecycle={"preStop": {"sleep": {"seconds": 5}}}), "has a hook"),
    (SIDECAR, lambda it: it.container["volumeMounts"][0].update(subPath="schemaward.yaml"), "is a subPath"),
    (SIDECAR, lambda it: it.container["volumeMounts"][0].pop("readOnly"), "can be written to"),
    (SIDECAR, lambda it: it.container["volumeMounts"].pop(1), "is not mounted"),
    (SIDECAR, lambda it: it.pod["volumes"].pop(1), "there is no volume"),
    (SIDECAR, lambda it: it.pod.pop("automountServiceAccountToken"), "token of the service account"),
    (SIDECAR, lambda it: it.pod.update(terminationGracePeriodSeconds=25), "terminationGracePeriodSeconds is 25"),
    (SIDECAR, lambda it: it.pod["containers"][0]["env"].pop(0), "no container is told"),
    (SIDECAR, lambda it: it.config("127.0.0.1:19092", "0.0.0.0:19092"), "listen.bootstrap is 0.0.0.0"),
    (SIDECAR, lambda it: it.config("0.0.0.0:19465", "0.0.0.0:9465"), "kubelet asks port 19465"),
    (SIDECAR, lambda it: it.config("127.0.0.1:9464", "0.0.0.0:9464"), "admin.listen can be reached"),
    (SIDECAR, lambda it: it.of("NetworkPolicy")["spec"].update(podSelector={}), "selects everything"),
    (SIDECAR, lambda it: it.of("PodMonitor")["spec"]["selector"]["matchLabels"].update(a="b"), "selects nothing"),
    (GATEWAY, lambda it: it.container["resources"]["limits"].update(cpu="1"), "limits are"),
    (GATEWAY, lambda it: it.container.pop("readinessProbe"), "probes are"),
    (GATEWAY, lambda it: it.of("PodDisruptionBudget")["spec"].update(selector={}), "selects everything"),
    (GATEWAY, lambda it: it.of("Deployment")["spec"].update(replicas=3), "scaled too"),
    (GATEWAY, lambda it: it.of("HorizontalPodAutoscaler")["spec"]["scaleTargetRef"].update(name="x"), "to scale"),
    (GATEWAY, lambda it: it.of("Service")["spec"]["ports"][0].update(targetPort=1), "nobody listens to 1"),
    (GATEWAY, lambda it: it.of("Service")["spec"]["ports"].pop(3), "does not lead to"),
    (GATEWAY, lambda it: it.config(".shop.svc", "x.shop.svc"), "no Service"),
]
