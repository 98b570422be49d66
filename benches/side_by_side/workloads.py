"""What is sent and read. Each line of the table is measured for every target that can take it."""

import dataclasses

SCHEMA_IDS = {"avro": 1, "avro-json": 1, "json": 2, "protobuf": 3}
PARTITIONS = 10
ORDERS, STORED = "orders", "stored-orders"


@dataclasses.dataclass(frozen=True)
class Workload:
    name: str
    format: str = "avro"
    size: int = 200
    codec: str = "none"
    acks: str = "all"
    idempotent: bool = False
    connections: int = 10
    # Records a second; otherwise as many as will go.
    rate: int | None = None
    consume: bool = False
    # Bytes of a batch at most; otherwise librdkafka's default, which is 1 MB.
    batch: int | None = None
    # Records without an answer at most, of all connections together. More only wait longer.
    window: int = 10_000

    def arguments(self, bootstrap, seconds):
        """Of the load generator."""
        if self.consume:
            arguments = ["consume", "--topic", STORED]
        else:
            arguments = ["produce", "--topic", ORDERS, "--acks", self.acks, *values_of(self)]
            arguments += ["--idempotent"] if self.idempotent else []
            arguments += ["--rate", self.rate] if self.rate else ["--window", self.window]
            arguments += ["--batch", self.batch] if self.batch else []
        arguments += ["--bootstrap", bootstrap, "--connections", self.connections, "--seconds", seconds]
        return [str(argument) for argument in [*arguments, "--partitions", PARTITIONS]]

    def describe(self):
        what = f"{self.format}, {self.size} B, {'uncompressed' if self.codec == 'none' else self.codec}"
        what += f", batches of {self.batch // 1024} KiB" if self.batch else ""
        if self.consume:
            return f"reading {what}, {plural(self.connections)}"
        kind = f"{self.rate:,} records/s" if self.rate else "closed loop"
        return f"{what}, acks {self.acks}{', idempotent' if self.idempotent else ''}, {plural(self.connections)}, {kind}"


def plural(connections):
    return "1 connection" if connections == 1 else f"{connections} connections"


def values_of(workload):
    values = {"format": workload.format, "schema-id": SCHEMA_IDS[workload.format], "size": workload.size, "codec": workload.codec}
    return [part for key, value in values.items() for part in (f"--{key}", str(value))]


# The first ones have bars.
ALL = [
    Workload("avro-200"),
    Workload("avro-1k", size=1000),
    Workload("avro-200-lz4", codec="lz4"),
    Workload("avro-1k-lz4", size=1000, codec="lz4"),
    Workload("avro-200-at-10000", connections=1, rate=10_000),
    Workload("avro-200-read", consume=True),
    Workload("json-400", format="json", size=400),
    Workload("json-1k", format="json", size=1000),
    Workload("avro-json-400", format="avro-json", size=400),
    Workload("protobuf-400", format="protobuf", size=400),
    Workload("json-400-at-10000", format="json", size=400, connections=1, rate=10_000),
    Workload("avro-1k-zstd", size=1000, codec="zstd"),
    Workload("avro-200-acks-1", acks="1"),
    Workload("avro-200-idempotent", idempotent=True),
    Workload("avro-200-small-batches", batch=16 * 1024),
    Workload("avro-200-1-connection", connections=1),
    Workload("avro-200-100-connections", connections=100),
    Workload("avro-200-at-1000", connections=1, rate=1_000),
    Workload("avro-200-at-10000-10-connections", connections=10, rate=10_000),
    Workload("avro-200-at-50000", connections=10, rate=50_000),
]
BY_NAME = {workload.name: workload for workload in ALL}
WITH_BARS = [workload.name for workload in ALL[:8]]
