"""The systems side by side: how each is started, and by which address clients reach it."""

import contextlib
import http.server
import json
import pathlib
import shutil
import subprocess
import sys
import threading
import time

from processes import ROOT, bars

HERE = pathlib.Path(__file__).resolve().parent
KROXYLICIOUS = "0.12.0"


class Target:
    """Something between clients and broker, or nothing. Where it runs, `pid` says as what process."""

    # Formats that it may be sent; of these, those that it judges.
    takes = judges = frozenset()
    every_format = frozenset({"avro", "avro-json", "json", "protobuf"})
    pid = None

    def __init__(self, name, bootstrap):
        self.name, self.bootstrap = name, bootstrap
        self.takes = self.every_format


class Direct(Target):
    """The broker without anything in front."""


class Other(Target):
    """A proxy that somebody else has started."""

    def __init__(self, name, bootstrap, pid):
        super().__init__(name, bootstrap)
        self.pid = pid


class Process(Target):
    """A target that is started and stopped here."""

    def __init__(self, name, port, folder):
        super().__init__(name, f"127.0.0.1:{port}")
        self.port, self.folder, self.process = port, folder / name, None
        self.folder.mkdir()

    def command(self):
        raise NotImplementedError

    def is_ready(self):
        return bars.answers_api_versions(self.port)

    def start(self):
        """Starts it and gives the seconds until it has answered."""
        command, log = self.command(), self.folder / "log"
        with log.open("wb") as output:
            started = time.perf_counter()
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output)
        self.pid = self.process.pid
        try:
            bars.wait_until(self.is_ready, 60, self.process, log, pause=0.001)
        except BaseException:
            self.stop()
            raise
        return time.perf_counter() - started

    def stop(self):
        if self.process:
            bars.stop(self.process)
        self.process = self.pid = None


class HAProxy(Process):
    """TCP mode, its own number of threads. It rewrites nothing, so the broker advertises its port on a listener of its own."""

    def __init__(self, name, port, folder, upstream):
        super().__init__(name, port, folder)
        self.upstream = upstream

    def command(self):
        config = self.folder / "haproxy.cfg"
        config.write_text(
            "global\n  maxconn 5000\n"
            "defaults\n  mode tcp\n  timeout connect 5s\n  timeout client 1h\n  timeout server 1h\n"
            f"listen kafka\n  bind 127.0.0.1:{self.port}\n  server broker {self.upstream}\n",
            encoding="utf-8",
        )
        return [haproxy(), "-db", "-f", config]


class Kroxylicious(Process):
    """Without filters, or with its record validation for JSON Schema."""

    def __init__(self, name, port, folder, upstream, registry=None):
        super().__init__(name, port, folder)
        self.upstream, self.registry = upstream, registry
        if registry:
            self.takes = self.judges = frozenset({"json"})

    def command(self):
        config = {"virtualClusters": [{
            "name": "side-by-side",
            "targetCluster": {"bootstrapServers": self.upstream},
            "gateways": [{"name": "clients", "portIdentifiesNode": {
                "bootstrapAddress": self.bootstrap,
                "nodeStartPort": self.port + 1,
                "nodeIdRanges": [{"name": "all", "start": 1, "end": 3}],
            }}],
        }]}
        if self.registry:
            schema = {"apicurioRegistryUrl": self.registry, "apicurioGlobalId": 2}
            rule = {"valueRule": {"schemaValidationConfig": schema}}
            config["filterDefinitions"] = [
                {"name": "validate", "type": "RecordValidation", "config": {"rules": [], "defaultRule": rule}}
            ]
            config["defaultFilters"] = ["validate"]
        path = self.folder / "config.yaml"
        # JSON is YAML.
        path.write_text(json.dumps(config, indent=1), encoding="utf-8")
        return ["java", "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn", "-cp", kroxylicious_classes(), "Run", path]


class Schemaward(Process):
    def __init__(self, name, port, folder, upstream, registry, binary, mode):
        super().__init__(name, port, folder)
        self.upstream, self.registry, self.binary, self.mode = upstream, registry, binary, mode
        self.admin = bars.free_ports(1)
        if mode == "enforce":
            self.judges = self.every_format

    def command(self):
        config = self.folder / "schemaward.yaml"
        config.write_text(
            f"listen: {{bootstrap: {self.bootstrap}, broker_ports: {self.port + 1}-{self.port + 4}}}\n"
            f"upstream: {{bootstrap: [\"{self.upstream}\"]}}\nregistry: {{url: {self.registry}}}\n"
            f"default_rule: {{mode: \"{self.mode}\"}}\nadmin: {{listen: 127.0.0.1:{self.admin}}}\n",
            encoding="utf-8",
        )
        return [self.binary, "run", "--config", config]

    def is_ready(self):
        return bars.is_ready(self.admin) and super().is_ready()


def haproxy():
    found = shutil.which("haproxy") or shutil.which("haproxy", path="/usr/sbin:/usr/local/sbin")
    return found or sys.exit("haproxy is not installed: apt-get install haproxy, or leave it out with --targets")


def kroxylicious_classes():
    """The class path; fetched from Maven and compiled once."""
    folder = ROOT / f"target/kroxylicious-{KROXYLICIOUS}"
    jars, classes, stamp = folder / "lib", folder / "classes", folder / "made-from"
    sources = [HERE / "kroxylicious/pom.xml", HERE / "kroxylicious/Run.java"]
    made_from = "".join(source.read_text(encoding="utf-8") for source in sources)
    if not stamp.is_file() or stamp.read_text(encoding="utf-8") != made_from:
        shutil.rmtree(folder, ignore_errors=True)
        jars.mkdir(parents=True)
        checked(["mvn", "-q", "-B", "dependency:copy-dependencies", "-f", sources[0], f"-DoutputDirectory={jars}"])
        checked(["javac", "-proc:none", "-cp", f"{jars}/*", "-d", classes, sources[1]])
        stamp.write_text(made_from, encoding="utf-8")
    return f"{classes}:{jars}/*"


def checked(command):
    done = subprocess.run(command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
    if done.returncode != 0:
        sys.exit(f"{' '.join(map(str, command))}\n{done.stdout}{done.stderr}")
    return done.stdout


class Kafka:
    """A broker that is its own controller, with a listener for every address that it has to advertise."""

    def __init__(self, lib, folder, port, advertised):
        """`advertised` has the port of a listener and the address that clients of it are told."""
        if not any(lib.glob("kafka_2.13-*.jar")):
            sys.exit(f"no Kafka in {lib}: run `cargo test --features demo --test real_broker` once, or give --kafka-lib")
        self.folder, self.log = folder, folder / "kafka.log"
        self.port = port or bars.free_ports(1)
        self.bootstrap = f"127.0.0.1:{self.port}"
        self.advertised = advertised
        self.java = ["java", "-Xms1g", "-Xmx1g", "-cp", f"{lib.resolve()}/*"]

    def __enter__(self):
        properties = self.folder / "server.properties"
        properties.write_text(self.properties(bars.free_ports(1)), encoding="utf-8")
        checked([*self.java, "kafka.tools.StorageTool", "format", "-t", "AAAAAAAAAAAAAAAAAAAAAQ", "-c", properties])
        with self.log.open("wb") as output:
            command = [*self.java, "kafka.Kafka", properties]
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output)
        self.pid = self.process.pid
        bars.wait_until(lambda: bars.answers_api_versions(self.port), 60, self.process, self.log, pause=0.2)
        return self

    def __exit__(self, *_):
        bars.stop(self.process)

    def properties(self, controller):
        listeners = [("DIRECT", self.port, self.bootstrap)]
        listeners += [(f"PROXY{at}", port, told) for at, (port, told) in enumerate(self.advertised)]
        bound = [f"{name}://127.0.0.1:{port}" for name, port, _ in listeners]
        told = [f"{name}://{address}" for name, _, address in listeners]
        protocols = [f"{name}:PLAINTEXT" for name, _, _ in listeners]
        return f"""\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller}
controller.listener.names=CONTROLLER
inter.broker.listener.name=DIRECT
listeners={','.join(bound)},CONTROLLER://127.0.0.1:{controller}
advertised.listeners={','.join(told)}
listener.security.protocol.map={','.join(protocols)},CONTROLLER:PLAINTEXT
log.dirs={self.folder / "kafka-logs"}
auto.create.topics.enable=false
offsets.topic.replication.factor=1
offsets.topic.num.partitions=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=1
# What was measured is thrown away soon: the disk must not fill.
log.segment.bytes=33554432
log.initial.task.delay.ms=1000
log.retention.check.interval.ms=2000
log.segment.delete.delay.ms=1000
"""


@contextlib.contextmanager
def registry():
    """Knows the schemas, by Confluent's paths for schemaward and by Apicurio's for Kroxylicious. Each is asked for once."""
    schemas = {
        1: ("AVRO", (HERE / "schemas/order.avsc").read_text(encoding="utf-8")),
        2: ("JSON", (HERE / "schemas/order.schema.json").read_text(encoding="utf-8")),
        3: ("PROTOBUF", (HERE / "schemas/order.proto").read_text(encoding="utf-8")),
    }

    class Answer(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            parts = self.path.split("?")[0].strip("/").split("/")
            number = int(parts[-1]) if parts[-1].isdigit() else None
            if parts[:2] == ["schemas", "ids"] and number in schemas:
                kind, text = schemas[number]
                self.answer(200, json.dumps({"schema": text, "schemaType": kind}))
            elif "globalIds" in parts and number in schemas:
                self.answer(200, schemas[number][1], schemas[number][0])
            elif parts[-1] == "references":
                self.answer(200, "[]")
            else:
                self.answer(404, json.dumps({"error_code": 40403, "message": self.path}))

        def answer(self, status, text, kind="JSON"):
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(text.encode())))
            self.send_header("x-registry-artifacttype", kind)
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answer)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
