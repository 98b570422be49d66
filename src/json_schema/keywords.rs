//! Where in a schema there are schemas, by keyword: of every draft at once, since a keyword that one draft does not know
//! is nothing to it.

/// What stands at a place of a schema document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// Something that is no schema, such as the value of a `const`.
    Data,
    /// An array of schemas.
    List,
    /// An object of schemas under names of the author's.
    Map,
    /// The same, under names of properties.
    Properties,
    /// The same, under regular expressions.
    Patterns,
    /// A schema.
    Schema,
    /// A schema or an array of them: `items`.
    SchemaOrList,
    /// Whatever the author likes, below a keyword that is none: maybe schemas that are referred to.
    Unknown,
}

/// What the value of `keyword` is.
pub(super) fn place(keyword: &str) -> Place {
    match keyword {
        "additionalItems"
        | "additionalProperties"
        | "contains"
        | "contentSchema"
        | "else"
        | "if"
        | "not"
        | "propertyNames"
        | "then"
        | "unevaluatedItems"
        | "unevaluatedProperties" => Place::Schema,
        "items" => Place::SchemaOrList,
        "allOf" | "anyOf" | "oneOf" | "prefixItems" => Place::List,
        "$defs" | "definitions" | "dependentSchemas" | "dependencies" => Place::Map,
        "properties" => Place::Properties,
        "patternProperties" => Place::Patterns,
        "const" | "default" | "enum" | "example" | "examples" | "required"
        | "dependentRequired" | "type" | "$vocabulary" => Place::Data,
        _ => Place::Unknown,
    }
}

/// Keywords whose value names a schema that stands elsewhere.
pub(super) const REFERENCES: [&str; 3] = ["$ref", "$dynamicRef", "$recursiveRef"];

/// Whether the fragment of a reference, a JSON pointer into a document or schema, leads to where a schema may be.
pub(super) fn leads_to_schema(pointer: &str) -> bool {
    let mut place = Place::Schema;
    for segment in percent_decoded(pointer).split('/').skip(1) {
        let segment = segment.replace("~1", "/").replace("~0", "~");
        let is_index = !segment.is_empty() && segment.bytes().all(|byte| byte.is_ascii_digit());
        place = match place {
            Place::Data => return false,
            Place::List | Place::Map | Place::Properties | Place::Patterns => Place::Schema,
            Place::SchemaOrList if is_index => Place::Schema,
            Place::Schema | Place::SchemaOrList | Place::Unknown => self::place(&segment),
        };
    }
    matches!(place, Place::Schema | Place::SchemaOrList | Place::Unknown)
}

/// A part of a URI, its escapes resolved.
pub(super) fn percent_decoded(part: &str) -> String {
    let mut bytes = Vec::with_capacity(part.len());
    let mut rest = part.as_bytes();
    while let [first, tail @ ..] = rest {
        let hex = |digit: &u8| char::from(*digit).to_digit(16).and_then(|it| u8::try_from(it).ok());
        let decoded = match tail {
            [high, low, ..] if *first == b'%' => hex(high).zip(hex(low)),
            _ => None,
        };
        bytes.push(decoded.map_or(*first, |(high, low)| high << 4 | low));
        rest = if decoded.is_some() { tail.get(2..).unwrap_or_default() } else { tail };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_lead_to_schemas_or_are_refused() {
        let table = [
            ("", true),
            ("/definitions/a~1b", true),
            ("/$defs/const", true),
            ("/properties/default/items", true),
            ("/items/0/allOf/1", true),
            ("/items/properties/x", true),
            ("/components/schemas/User", true),
            ("/const", false),
            ("/%63onst/a", false),
            ("%2fconst%2Fa", false),
            ("/properties/a/enum/0", false),
            ("/components/default/a", false),
            ("/properties", false),
            ("/allOf", false),
        ];
        for (pointer, leads) in table {
            assert_eq!(leads_to_schema(pointer), leads, "{pointer}");
        }
    }
}
