"""The event models of the tests, and the cases that are sent.

Run with the name of a model to print the schema that a registry must serve for it.
"""

import os
import sys
from dataclasses import dataclass, field

from dataclasses_avroschema import AvroModel

# Where the schemas are published, as the library's documentation has it; the tests publish theirs on a local server.
SCHEMA_SERVER = os.environ.get("SCHEMA_SERVER", "https://my-schema-server")


@dataclass
class UserModel(AvroModel):
    """A user."""

    name: str
    age: int
    accounts: dict[str, int] = field(default_factory=lambda: {"key": 1})

    class Meta:
        namespace = "User.v1"
        schema_id = f"{SCHEMA_SERVER}/users/schema.avsc"


@dataclass
class OrderModel(AvroModel):
    """Something else than a user."""

    paid: bool
    item: str
    prices: list[float]

    class Meta:
        namespace = "Order.v1"
        schema_id = f"{SCHEMA_SERVER}/orders/schema.avsc"


USER = UserModel(name="bob", age=5)
ORDER = OrderModel(paid=True, item="book", prices=[1.5, 2.25])


def headers(model, encoding, name="content-type"):
    return [(name, encoding), ("schema-id", model.Meta.schema_id.encode())]


def cases():
    """Every case by name: the value and the headers."""
    avro = USER.serialize()
    return {
        "valid_avro": (avro, headers(UserModel, b"avro")),
        "valid_avro_json": (
            USER.serialize(serialization_type="avro-json"),
            headers(UserModel, b"avro-json"),
        ),
        "valid_serialization_type": (avro, headers(UserModel, b"avro", "serialization-type")),
        "without_schema_id": (avro, [("content-type", b"avro")]),
        "without_metadata": (avro, []),
        "truncated": (avro[:-1], headers(UserModel, b"avro")),
        "wrong_schema": (ORDER.serialize(), headers(UserModel, b"avro")),
        # The library does not check field types when it writes this encoding.
        "wrong_type_in_avro_json": (
            UserModel(name="bob", age="50").serialize(serialization_type="avro-json"),
            headers(UserModel, b"avro-json"),
        ),
    }


def deserialize(value, record_headers):
    """Reads an event as its headers say."""
    found = dict(record_headers)
    encoding = found.get("content-type", found.get("serialization-type", b"avro")).decode()
    return UserModel.deserialize(value, serialization_type=encoding)


if __name__ == "__main__":
    print({"UserModel": UserModel, "OrderModel": OrderModel}[sys.argv[1]].avro_schema())
