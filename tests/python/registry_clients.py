"""Registry clients as they come, against the schema server: what they register, write and read again.

Run with a part and the server's URL; prints one JSON object a line. With `prefix` or `header` behind them serializers write the
id at that place only.
"""

import json
import sys

# A subject for each part: they run side by side.
TOPIC = f"users-{sys.argv[1]}"
AVRO = {"type": "record", "name": "User", "fields": [{"name": "name", "type": "string"}]}
WIDER = {**AVRO, "fields": [*AVRO["fields"], {"name": "age", "type": "int"}]}
JSON_SCHEMA = {
    "$schema": "http://json-schema.org/draft-07/schema#",
    "title": "User",
    "type": "object",
    "properties": {"name": {"type": "string"}},
}


def say(**facts):
    print(json.dumps(facts), flush=True)


def confluent(url):
    from confluent_kafka.schema_registry import SchemaRegistryClient

    # By default it waits for an answer for ever.
    return SchemaRegistryClient({"url": url, "timeout": 20})


def written_and_read(serializer, deserializer, value):
    """Writes with the id before the payload, then with the GUID in a header, and reads both with another client."""
    from confluent_kafka.schema_registry import (
        header_schema_id_serializer,
        prefix_schema_id_serializer,
    )
    from confluent_kafka.serialization import MessageField, SerializationContext

    for name, place in [
        ("prefix", prefix_schema_id_serializer),
        ("header", header_schema_id_serializer),
    ]:
        if name not in (sys.argv[3:] or [name]):
            continue
        headers = []
        context = SerializationContext(TOPIC, MessageField.VALUE, headers)
        payload = serializer({"schema.id.serializer": place})(value, context)
        found = deserializer()(payload, context)
        say(
            place=name,
            payload=payload.hex(),
            headers=[[key, bytes(text).hex()] for key, text in headers],
            same=found == value,
            read=str(found),
        )


def avro(url):
    from confluent_kafka.schema_registry.avro import AvroDeserializer, AvroSerializer

    written_and_read(
        lambda conf: AvroSerializer(confluent(url), json.dumps(AVRO), conf=conf),
        lambda: AvroDeserializer(confluent(url)),
        {"name": "annabel"},
    )


def json_schema(url):
    from confluent_kafka.schema_registry.json_schema import JSONDeserializer, JSONSerializer

    text = json.dumps(JSON_SCHEMA)
    written_and_read(
        lambda conf: JSONSerializer(text, confluent(url), conf=conf),
        lambda: JSONDeserializer(text, schema_registry_client=confluent(url)),
        {"name": "annabel"},
    )


def protobuf(url):
    from confluent_kafka.schema_registry.protobuf import ProtobufDeserializer, ProtobufSerializer
    from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, timestamp_pb2

    field = descriptor_pb2.FieldDescriptorProto
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(timestamp_pb2.DESCRIPTOR.serialized_pb)
    other = descriptor_pb2.FileDescriptorProto(name="other.proto", package="other", syntax="proto3")
    kind = other.message_type.add(name="Kind")
    kind.field.add(name="label", number=1, type=field.TYPE_STRING, label=field.LABEL_OPTIONAL)
    pool.Add(other)
    file = descriptor_pb2.FileDescriptorProto(
        name="user.proto",
        package="example",
        syntax="proto3",
        dependency=["other.proto", "google/protobuf/timestamp.proto"],
    )
    file.message_type.add(name="Unused")
    user = file.message_type.add(name="User")
    user.field.add(name="name", number=1, type=field.TYPE_STRING, label=field.LABEL_OPTIONAL)
    user.field.add(
        name="kind",
        number=2,
        type=field.TYPE_MESSAGE,
        type_name=".other.Kind",
        label=field.LABEL_OPTIONAL,
    )
    user.field.add(
        name="created",
        number=3,
        type=field.TYPE_MESSAGE,
        type_name=".google.protobuf.Timestamp",
        label=field.LABEL_OPTIONAL,
    )
    pool.Add(file)
    cls = message_factory.GetMessageClass(pool.FindMessageTypeByName("example.User"))
    value = cls(name="annabel")
    value.kind.label = "admin"
    value.created.seconds = 7
    written_and_read(
        lambda conf: ProtobufSerializer(cls, confluent(url), conf=conf),
        lambda: ProtobufDeserializer(cls, {}, schema_registry_client=confluent(url)),
        value,
    )


def client(url):
    """Everything else that confluent-kafka's client asks for."""
    from confluent_kafka.schema_registry import Schema
    from confluent_kafka.schema_registry.error import SchemaRegistryError

    registry = confluent(url)
    schema, wider = Schema(json.dumps(AVRO), "AVRO"), Schema(json.dumps(WIDER), "AVRO")
    full = registry.register_schema_full_response("people-value", schema)
    say(step="registered", id=full.schema_id, guid=full.guid, version=full.version)
    again = confluent(url)
    say(step="by id", same=json.loads(again.get_schema(full.schema_id).schema_str) == AVRO)
    by_guid = confluent(url).get_schema_by_guid(full.guid)
    say(step="by guid", same=json.loads(by_guid.schema_str) == AVRO)
    found = confluent(url).lookup_schema("people-value", schema)
    say(step="lookup", id=found.schema_id, version=found.version)
    say(step="latest", version=again.get_latest_version("people-value").version)
    say(step="version", id=again.get_version("people-value", 1).schema_id)
    say(step="subjects", subjects=again.get_subjects(), versions=again.get_versions("people-value"))
    say(step="fits", fits=again.test_compatibility("people-value", wider))
    try:
        confluent(url).register_schema("people-value", wider)
    except SchemaRegistryError as error:
        say(step="refused", status=error.http_status_code, code=error.error_code)
    again.set_compatibility("people-value", "NONE")
    say(step="level", level=again.get_compatibility("people-value"))
    wide = confluent(url).register_schema("people-value", wider)
    say(step="taken", other=wide != full.schema_id)
    say(step="deleted version", version=confluent(url).delete_version("people-value", 2))
    say(step="deleted", versions=confluent(url).delete_subject("people-value"))
    confluent(url).delete_subject("people-value", permanent=True)
    try:
        confluent(url).get_latest_version("people-value")
    except SchemaRegistryError as error:
        say(step="gone", status=error.http_status_code, code=error.error_code)


def python_schema_registry_client(url):
    from schema_registry.client import SchemaRegistryClient, schema
    from schema_registry.serializers import AvroMessageSerializer, JsonMessageSerializer

    registry = SchemaRegistryClient(url)
    parsed, wider = schema.AvroSchema(AVRO), schema.AvroSchema(WIDER)
    number = registry.register("others-value", parsed)
    say(step="registered", id=number)
    other = SchemaRegistryClient(url)
    say(step="by id", same=other.get_by_id(number).name == "User")
    version = other.check_version("others-value", parsed)
    say(step="checked", version=version.version, id=version.schema_id)
    say(step="latest", version=other.get_schema("others-value").version)
    say(step="fits", fits=other.test_compatibility("others-value", wider))
    say(step="subjects", there="others-value" in other.get_subjects())
    other.update_compatibility("FULL", "others-value")
    say(step="level", level=other.get_compatibility("others-value"))
    serializer = AvroMessageSerializer(registry)
    payload = serializer.encode_record_with_schema("others", parsed, {"name": "annabel"})
    read = AvroMessageSerializer(SchemaRegistryClient(url)).decode_message(payload)
    say(step="avro", payload=payload.hex(), read=read)
    jsons = JsonMessageSerializer(registry)
    payload = jsons.encode_record_with_schema("j", schema.JsonSchema(JSON_SCHEMA), {"name": "annabel"})
    read = JsonMessageSerializer(SchemaRegistryClient(url)).decode_message(payload)
    say(step="json", read=read)
    say(step="deleted", versions=other.delete_subject("others-value"))


PARTS = {
    "avro": avro,
    "json": json_schema,
    "protobuf": protobuf,
    "client": client,
    "python-schema-registry-client": python_schema_registry_client,
}

if __name__ == "__main__":
    PARTS[sys.argv[1]](sys.argv[2])
