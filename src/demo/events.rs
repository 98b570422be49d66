//! The five events of the demo, as a Python service that uses dataclasses-avroschema sends them: the type of the value and
//! the URL of its schema stand in the headers, and the value is one bare Avro datum.

use super::schema_server::Document;

/// One event, ready to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// What a reader of the table calls it.
    pub name: &'static str,
    /// The record's key; no two events share one.
    pub key: &'static str,
    /// The record's value.
    pub value: Vec<u8>,
    /// The record's headers, in order.
    pub headers: Vec<(String, Vec<u8>)>,
}

/// The schemas that the schema server holds.
#[must_use]
pub fn documents() -> Vec<Document> {
    vec![
        Document { path: "/users/schema.avsc", id: 1, text: USER_SCHEMA },
        Document { path: "/orders/schema.avsc", id: 2, text: ORDER_SCHEMA },
    ]
}

/// The events, with schemas at `registry_url`.
#[must_use]
pub fn five(registry_url: &str) -> [Event; 5] {
    let user_schema = format!("{registry_url}/users/schema.avsc");
    let metadata = |encoding: &str| {
        let content_type = ("content-type".to_owned(), encoding.as_bytes().to_vec());
        vec![content_type, ("schema-id".to_owned(), user_schema.clone().into_bytes())]
    };
    let event =
        |name, key, value: &[u8], headers| Event { name, key, value: value.to_vec(), headers };
    let truncated = USER.get(..USER.len() - 3).unwrap_or_default();
    [
        event("a user, as Avro", "1", USER, metadata("avro")),
        event("a user, as Avro JSON", "2", USER_JSON, metadata("avro-json")),
        event("a user without metadata", "3", USER, Vec::new()),
        event("a user, cut off", "4", truncated, metadata("avro")),
        event("an order that claims to be a user", "5", ORDER, metadata("avro")),
    ]
}

/// `UserModel(name="bob", age=5, accounts={"key": 1})`: a text, a zigzag number, a block of one entry and the end mark.
const USER: &[u8] = b"\x06bob\x0a\x02\x06key\x02\x00";
const USER_JSON: &[u8] = br#"{"name": "bob", "age": 5, "accounts": {"key": 1}}"#;
/// `OrderModel(paid=True, item="book", price=1.5)`.
const ORDER: &[u8] = b"\x01\x08book\x00\x00\x00\x00\x00\x00\xf8\x3f";

const USER_SCHEMA: &str = r#"{
  "type": "record", "name": "UserModel", "namespace": "User.v1",
  "fields": [
    {"name": "name", "type": "string"},
    {"name": "age", "type": "long"},
    {"name": "accounts", "type": {"type": "map", "values": "long"}}
  ]
}"#;
const ORDER_SCHEMA: &str = r#"{
  "type": "record", "name": "OrderModel", "namespace": "Order.v1",
  "fields": [
    {"name": "paid", "type": "boolean"},
    {"name": "item", "type": "string"},
    {"name": "price", "type": "double"}
  ]
}"#;

#[cfg(test)]
mod tests {
    use apache_avro::Schema;
    use apache_avro::reader::datum::GenericDatumReader;

    use super::*;

    fn reads_whole(schema: &str, mut datum: &[u8]) -> bool {
        let schema = Schema::parse_str(schema).unwrap();
        let reader = GenericDatumReader::builder(&schema).build().unwrap();
        reader.read_value(&mut datum).is_ok() && datum.is_empty()
    }

    #[test]
    fn the_good_event_is_one_datum_of_its_schema_and_the_bad_ones_are_not() {
        let events = five("http://registry");
        let is_user = events.each_ref().map(|event| reads_whole(USER_SCHEMA, &event.value));
        assert_eq!(is_user, [true, false, true, false, false]);
        assert!(reads_whole(ORDER_SCHEMA, ORDER));
        assert_eq!(events[0].headers[1].1, b"http://registry/users/schema.avsc");
    }
}
