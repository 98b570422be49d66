//! The metadata headers of a record.

/// Under which names the metadata is found, matched exactly.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeaderNames {
    /// Names of the header that says how the value is encoded (`metadata.content_type`).
    pub content_type: Vec<String>,
    /// Name of the header that names the schema (`metadata.schema_id`).
    pub schema_id: String,
}

impl Default for HeaderNames {
    fn default() -> Self {
        Self {
            content_type: vec!["content-type".into(), "serialization-type".into()],
            schema_id: "schema-id".into(),
        }
    }
}
