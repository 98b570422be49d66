//! Protocol Buffers as text: what Python's client registers is a serialized descriptor in base64, which is written out as
//! the `.proto` file that it stands for; and back for clients that ask for it.

use base64::{Engine, engine::general_purpose::STANDARD};
use prost::Message;
use prost_reflect::prost_types::FileDescriptorProto;
use protox::file::{ChainFileResolver, File, FileResolver, GoogleFileResolver};

use super::{answer::Refusal, protobuf_print::print};
use crate::schema::Documents;

/// The `.proto` text of what a client registers: as it came, or written out from a descriptor.
pub(super) fn readable(text: &str) -> Result<String, Refusal> {
    let text = text.trim();
    let base64 = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=');
    if text.is_empty() || !text.bytes().all(base64) {
        return Ok(text.replace("\r\n", "\n") + "\n");
    }
    let decoded = STANDARD.decode(text).ok();
    let descriptor = decoded.and_then(|bytes| FileDescriptorProto::decode(bytes.as_slice()).ok());
    let descriptor = descriptor
        .ok_or_else(|| Refusal::invalid_schema("it is neither a .proto file nor a descriptor"))?;
    print(&descriptor).map_err(|what| {
        Refusal::invalid_schema(format!("the descriptor cannot be written as text: {what}"))
    })
}

/// The descriptor of a schema that was compiled before, in base64.
pub(super) fn serialized(documents: &Documents) -> Result<String, Refusal> {
    let mut own = NAME.to_owned();
    while documents.references.iter().any(|reference| reference.name == own) {
        own.insert(0, '_');
    }
    let mut resolver = ChainFileResolver::new();
    resolver.add(Sources { own: own.clone(), documents: documents.clone() });
    resolver.add(GoogleFileResolver::new());
    let mut compiler = protox::Compiler::with_file_resolver(resolver);
    let compiled = compiler.open_file(&own).map(|compiler| compiler.file_descriptor_set());
    let set = compiled.map_err(|error| Refusal::invalid_schema(error.to_string()))?;
    let found = set.file.into_iter().find(|file| file.name() == own);
    let found = found.ok_or_else(|| Refusal::invalid_schema("it cannot be compiled"))?;
    Ok(STANDARD.encode(found.encode_to_vec()))
}

/// The documents of one schema, by the names under which they are imported.
struct Sources {
    own: String,
    documents: Documents,
}

impl FileResolver for Sources {
    fn resolve_path(&self, path: &std::path::Path) -> Option<String> {
        path.to_str().map(str::to_owned)
    }

    fn open_file(&self, name: &str) -> Result<File, protox::Error> {
        let found = self.documents.references.iter().find(|reference| reference.name == name);
        let text = if name == self.own {
            &self.documents.text
        } else {
            &found.ok_or_else(|| protox::Error::file_not_found(name))?.text
        };
        File::from_source(name, text)
    }
}

/// The text without comments, with single blanks between its tokens: what two files have in common that say the same.
pub(super) fn tokens(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(next) = rest.chars().next() {
        let length = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            rest.get(2..).and_then(|rest| rest.find("*/")).map_or(rest.len(), |end| end + 4)
        } else if next.is_whitespace() {
            next.len_utf8()
        } else {
            let length = token_len(rest, next);
            out.extend(rest.get(..length));
            out.push(' ');
            length
        };
        rest = rest.get(length..).unwrap_or_default();
    }
    out
}

/// A text in quotes, a name or number, or one sign.
fn token_len(text: &str, first: char) -> usize {
    let word = |character: char| character.is_alphanumeric() || matches!(character, '_' | '.');
    if matches!(first, '"' | '\'') {
        let mut escaped = false;
        for (at, character) in text.char_indices().skip(1) {
            if character == first && !escaped {
                return at + 1;
            }
            escaped = character == '\\' && !escaped;
        }
        return text.len();
    }
    if word(first) {
        return text.find(|character| !word(character)).unwrap_or(text.len());
    }
    first.len_utf8()
}

/// What a file is called that has no name.
const NAME: &str = "schema.proto";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::{Referenced, SchemaFormat};

    fn documents(text: &str, references: &[(&str, &str)]) -> Documents {
        let reference =
            |(name, text): &(&str, &str)| Referenced { name: (*name).into(), text: (*text).into() };
        Documents {
            format: SchemaFormat::Protobuf,
            text: text.into(),
            references: references.iter().map(reference).collect(),
        }
    }

    const OTHER: &str = "syntax = \"proto3\"; package other; message Thing { int32 a = 1; }";

    const FILES: [&str; 3] = [
        r#"syntax = "proto3";
package example.v1;
import "other.proto";
import public "google/protobuf/timestamp.proto";
option java_package = "com.example";
option java_multiple_files = true;
option go_package = "example.com/x\"y";
/* A user. */
message User {
  string name = 1; // comment
  optional int64 age = 2;
  repeated double scores = 3 [packed = false];
  map<string, other.Thing> things = 4;
  oneof contact { string mail = 5; Address address = 6; }
  google.protobuf.Timestamp created = 7 [deprecated = true, json_name = "made"];
  Colour colour = 8;
  message Address { string street = 1; Kind kind = 2; enum Kind { HOME = 0; WORK = 1; } }
  reserved 20, 30 to 40, 100 to max;
  reserved "old", "older";
}
enum Colour { option allow_alias = true; NONE = 0; RED = 1; CRIMSON = 1 [deprecated = true]; reserved 5 to 7; reserved "GREEN"; }
service Users { rpc Find (User) returns (stream User) { option idempotency_level = NO_SIDE_EFFECTS; } }
"#,
        r#"syntax = "proto2";
message Old {
  required int32 id = 1;
  optional string name = 2 [default = "a\"b\n"];
  optional bytes raw = 3 [default = "\001\"x"];
  optional double ratio = 4 [default = -inf];
  optional E e = 5 [default = B];
  repeated int32 packed = 6 [packed = true];
  extensions 100 to 199, 500 to max;
  extend Old { optional string inner = 110; }
  enum E { A = -1; B = 2; }
}
extend Old { optional int32 more = 100; }
"#,
        "message Empty {}",
    ];

    #[test]
    fn a_descriptor_is_written_as_text_that_means_the_same() {
        for file in FILES {
            let references = [("other.proto", OTHER)];
            let first = serialized(&documents(file, &references)).unwrap();
            let text = readable(&first).unwrap();
            let second = serialized(&documents(&text, &references)).unwrap();
            assert_eq!(first, second, "{text}");
            assert_eq!(readable(&second).unwrap(), text);
        }
    }

    #[test]
    fn what_is_neither_text_nor_descriptor_is_refused() {
        for wrong in ["AAAA", "abc", "====", &STANDARD.encode(b"\x0a\xff")] {
            assert!(readable(wrong).is_err(), "{wrong}");
        }
        assert_eq!(readable(" message A {}\r\n\r\n").unwrap(), "message A {}\n");
    }

    #[test]
    fn comments_and_layout_are_no_tokens() {
        let one = "syntax=\"proto3\";message A{int32 a=1;}";
        let two = "// a file\nsyntax = \"proto3\";\n\nmessage A {\n /* a */ int32 a = 1; // b\n}\n";
        assert_eq!(tokens(one), tokens(two));
        assert_ne!(tokens(one), tokens("syntax=\"proto3\";message A{int32 aa=1;}"));
        assert_eq!(tokens("\"a // \\\" b\" 'c'"), "\"a // \\\" b\" 'c' ");
        assert_eq!(tokens("a /* b"), "a ");
        assert_eq!(tokens("\"a"), "\"a ");
    }
}
