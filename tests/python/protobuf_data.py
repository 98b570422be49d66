"""Protobuf data as Google's own library writes it, and what it says of damaged ones: one JSON line each.

A line has the schema, as a descriptor in base64, the full name of the message, the datum in base64, whether the library reads
it, and whether anything was damaged. A line with `indexes` is a message index list, as confluent-kafka writes it, if that can
be imported.
"""

import base64
import io
import json
import random

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.descriptor_pb2 import DescriptorProto, FieldDescriptorProto, FileDescriptorProto
from google.protobuf.message import DecodeError, EncodeError

DAMAGES = 60
TYPES = {name[5:].lower(): number for name, number in FieldDescriptorProto.Type.items()}
LABELS = {name[6:].lower(): number for name, number in FieldDescriptorProto.Label.items()}


def message(name, *fields, nested=(), enums=(), oneofs=()):
    built = DescriptorProto(name=name, nested_type=nested, enum_type=enums)
    for number, label, kind, field, *more in fields:
        added = built.field.add(name=field, number=number, label=LABELS[label])
        if kind.startswith("."):
            added.type_name, kind = kind, more.pop(0)
        added.type = TYPES[kind]
        for key, value in more[0].items() if more else ():
            if key == "packed":
                added.options.packed = value
            else:
                setattr(added, key, value)
    for oneof in oneofs:
        built.oneof_decl.add(name=oneof)
    return built


def entry(name, key, *value):
    built = message(name, (1, "optional", key, "key"), (2, "optional", *value[:1], "value", *value[1:]))
    built.options.map_entry = True
    return built


def enum(name, **numbers):
    built = descriptor_pb2.EnumDescriptorProto(name=name)
    for value, number in numbers.items():
        built.value.add(name=value, number=number)
    return built


SCALARS = sorted(set(TYPES) - {"enum", "group", "message"})


def event():
    scalars = [(number, "optional", kind, kind) for number, kind in enumerate(SCALARS, 1)]
    many = [(number + 40, "repeated", kind, f"many_{kind}") for number, kind in enumerate(SCALARS, 1)]
    more = [
        (90, "optional", ".p.Event", "event", "message", {"oneof_index": 0}),
        (91, "optional", "string", "name", {"oneof_index": 0}),
        (92, "repeated", ".p.Event.AttributesEntry", "attributes", "message"),
        (93, "repeated", ".p.Event.EventsEntry", "events", "message"),
        (94, "optional", ".p.Event.Kind", "kind", "enum"),
        (3000, "repeated", ".p.Event", "more", "message"),
    ]
    nested = [entry("AttributesEntry", "string", "string"), entry("EventsEntry", "sint32", ".p.Event", "message")]
    kinds = enum("Kind", NONE=0, A=1, B=-1)
    built = message("Event", *scalars, *many, *more, nested=nested, enums=[kinds], oneofs=["choice"])
    outer = message("Outer", nested=[message("First"), message("Second", nested=[message("Deep")])])
    return FileDescriptorProto(name="event.proto", package="p", syntax="proto3", message_type=[built, outer])


def order():
    kinds = enum("Kind", FIRST=1, SECOND=2, FAR=70000, BELOW=-2)
    part = message("Part", (1, "required", "bool", "good"), (2, "optional", ".old.Order", "order", "message"))
    line = message("Line", (1, "required", "int32", "n"))
    built = message(
        "Order",
        (1, "required", "string", "id"),
        (2, "required", ".old.Order.Kind", "kind", "enum"),
        (3, "repeated", ".old.Order.Kind", "kinds", "enum"),
        (4, "repeated", ".old.Order.Kind", "packed", "enum", {"packed": True}),
        (5, "repeated", ".old.Order.Part", "part", "group"),
        (6, "optional", ".old.Order.Line", "line", "message"),
        nested=[part, line],
        enums=[kinds],
    )
    return FileDescriptorProto(name="order.proto", package="old", message_type=[built])


def scalar(kind, chance):
    bits = chance.choice([0, 1, 7, 8, 31, 32, 63, 64])
    if kind in ("float", "double"):
        return chance.choice([0.0, -1.5, 1e30, float("inf")])
    if kind == "bool":
        return chance.random() < 0.5
    if kind == "string":
        return "".join(chance.choice("aZ é€𝄞\0") for _ in range(chance.randrange(20)))
    if kind == "bytes":
        return chance.randbytes(chance.randrange(20))
    width = 32 if kind.endswith("32") else 64
    if kind.startswith(("uint", "fixed")):
        return chance.getrandbits(min(bits, width)) if bits else 0
    value = chance.getrandbits(min(bits, width - 1)) if bits else 0
    return chance.choice([value, -value, -value - 1])


def fill_event(it, chance, depth=0):
    for kind in SCALARS:
        if chance.random() < 0.6:
            setattr(it, kind, scalar(kind, chance))
        getattr(it, f"many_{kind}").extend(scalar(kind, chance) for _ in range(chance.randrange(3)))
    it.kind = chance.choice([0, 1, -1, 77])
    for _ in range(chance.randrange(3)):
        it.attributes[scalar("string", chance)] = scalar("string", chance)
    if depth < 2:
        if chance.random() < 0.5:
            fill_event(it.event, chance, depth + 1)
        else:
            it.name = scalar("string", chance)
        fill_event(it.events[scalar("sint32", chance)], chance, depth + 1)
        fill_event(it.more.add(), chance, depth + 1)


def fill_order(it, chance, depth=0):
    it.id, it.kind = scalar("string", chance), chance.choice([1, 2, 70000, -2])
    it.kinds.extend(chance.choice([1, 2, 70000, -2]) for _ in range(chance.randrange(4)))
    it.packed.extend(chance.choice([1, 2, 70000, -2]) for _ in range(chance.randrange(4)))
    if chance.random() < 0.5:
        it.line.n = scalar("int32", chance)
    for _ in range(chance.randrange(3) if depth < 2 else 0):
        part = it.part.add(good=chance.random() < 0.5)
        if chance.random() < 0.5:
            fill_order(part.order, chance, depth + 1)


def damaged(datum, chance):
    datum = bytearray(datum)
    for _ in range(chance.randrange(1, 4)):
        at, what = chance.randrange(len(datum) + 1), chance.randrange(5)
        if what == 0:
            del datum[at:]
        elif what == 1:
            datum.insert(at, chance.randrange(256))
        elif at < len(datum):
            if what == 2:
                datum[at] ^= 1 << chance.randrange(8)
            elif what == 3:
                del datum[at]
            else:
                datum[at] = chance.randrange(256)
    return bytes(datum)


def reads(kind, datum):
    try:
        it = kind.FromString(datum)
        it.SerializeToString()
    except (DecodeError, EncodeError):
        return False
    return it.IsInitialized()


def data(pool, schema, name, fill, seeds):
    kind = message_factory.GetMessageClass(pool.FindMessageTypeByName(name))
    text = base64.b64encode(schema.SerializeToString()).decode()
    for seed in range(seeds):
        chance = random.Random(seed)
        it = kind()
        fill(it, chance)
        sound = it.SerializeToString(deterministic=bool(seed % 2))
        for number, datum in enumerate([sound] + [damaged(sound, chance) for _ in range(DAMAGES)]):
            encoded = base64.b64encode(datum).decode()
            line = {"schema": text, "message": name, "datum": encoded, "reads": reads(kind, datum), "damaged": number > 0}
            print(json.dumps(line))


def index_lists(pool, schema):
    try:
        from confluent_kafka.schema_registry.protobuf import ProtobufSerializer, _create_index_array
    except ImportError:
        return
    text = base64.b64encode(schema.SerializeToString()).decode()
    for name in ["p.Event", "p.Outer", "p.Outer.First", "p.Outer.Second", "p.Outer.Second.Deep"]:
        framing = io.BytesIO()
        ProtobufSerializer._encode_varints(framing, _create_index_array(pool.FindMessageTypeByName(name)))
        indexes = base64.b64encode(framing.getvalue()).decode()
        print(json.dumps({"schema": text, "message": name, "indexes": indexes}))


def main():
    pool = descriptor_pool.DescriptorPool()
    for schema, name, fill in [(event(), "p.Event", fill_event), (order(), "old.Order", fill_order)]:
        pool.Add(schema)
        data(pool, schema, name, fill, 12)
        if name == "p.Event":
            index_lists(pool, schema)


main()
