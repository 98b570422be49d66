//! Schema documents by URL, from any HTTP server.

use url::Url;

use super::{
    Documents, SourceError, Validators,
    confluent::{Registered, Registry},
    fetch::{Answer, Fetcher, Page, invalid},
    freshness::Freshness,
    language,
    reference::confluent_parts,
};
use crate::limits::SchemaLimits;

/// What a server said about a document.
#[derive(Debug)]
pub(super) enum Answered {
    /// It is still the one that the validators came with.
    NotModified(Freshness),
    /// The document, and what to know when asking again.
    Documents(Documents, Freshness, Option<Validators>),
}

/// Asks for the document at `url`, or whether it is still the one that `known` came with.
pub(super) async fn ask(
    fetcher: &Fetcher,
    limits: &SchemaLimits,
    url: &Url,
    known: Option<&Validators>,
) -> Result<Answered, SourceError> {
    let page = match fetcher.get(url, known).await? {
        Answer::NotModified(freshness) => return Ok(Answered::NotModified(freshness)),
        Answer::Page(page) => page,
    };
    let Page { body, content_type, freshness, validators } = page;
    let documents = unwrapped(fetcher, limits, url, body, content_type.as_deref()).await?;
    Ok(Answered::Documents(documents, freshness, validators))
}

/// The document itself, taken out of the wrapping that a registry puts around it.
async fn unwrapped(
    fetcher: &Fetcher,
    limits: &SchemaLimits,
    url: &Url,
    body: Vec<u8>,
    content_type: Option<&str>,
) -> Result<Documents, SourceError> {
    let text = String::from_utf8(body).map_err(|_| invalid(url, "the document is not UTF-8"))?;
    let text = match text.strip_prefix(BYTE_ORDER_MARK) {
        Some(text) => text.to_owned(),
        None => text,
    };
    if let Some(registered) = Registered::unwrap(&text) {
        let base = confluent_parts(url).map(|(base, _)| base);
        let registry = base.as_deref().map(|base| Registry::new(fetcher, limits, base));
        return registered.documents(url, limits, registry.as_ref()).await;
    }
    if text.len() > limits.max_schema_bytes {
        let what = format!("the schema has more than {} bytes", limits.max_schema_bytes);
        return Err(invalid(url, &what));
    }
    let format = language::of_document(url.path(), content_type, &text);
    Ok(Documents { format, text, references: Vec::new() })
}

const BYTE_ORDER_MARK: char = '\u{feff}';
