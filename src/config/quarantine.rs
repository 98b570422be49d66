//! The section `quarantine`, and the key of rules that asks for it: copies of refused batches.

use super::{
    error::Origin,
    kind::{Form, Kind, Shape},
    listen::Bound,
    node::Value,
    section::{Section, wanted},
    sections::{MILLI, MINUTE},
    upstream::sasl,
    values::{duration, integer, show_size, size, text, word},
};
use crate::{
    limits::{KIB, MIB},
    proxy::settings::{ClientAuth, QuarantineCredentials, QuarantineSettings, UpstreamSettings},
    record::Compression,
    validate::dead_letter::DeadLetterName,
};

pub(super) const CREDENTIALS: [(&str, QuarantineCredentials); 2] =
    [("own", QuarantineCredentials::Own), ("none", QuarantineCredentials::None)];
pub(super) const COMPRESSIONS: [(&str, Compression); 2] =
    [("none", Compression::None), ("zstd", Compression::Zstd)];

/// The section, and where to point at when it does not fit the others.
pub(super) struct Quarantine {
    pub(super) settings: QuarantineSettings,
    credentials: Origin,
}

pub(super) fn quarantine(mut section: Section<'_>, bound: &Bound) -> Quarantine {
    let default = QuarantineSettings::default();
    let credentials = section.given("credentials", word(&CREDENTIALS)).located();
    let origin =
        credentials.as_ref().map_or_else(|| section.origin().clone(), |it| it.origin.clone());
    let settings = QuarantineSettings {
        topic: section.or("topic", default.topic, name()),
        credentials: credentials.map_or(default.credentials, |it| it.value),
        sasl: sasl(section.section("sasl"), |section| may_log_in(section, bound)),
        deadline: section.or("deadline", default.deadline, duration(MILLI * 100..=MINUTE / 2)),
        queue_bytes: section.or("queue_bytes", default.queue_bytes, size(64 * KIB..=1024 * MIB)),
        max_connections: section.or("max_connections", default.max_connections, integer(1..=1_000)),
        compression: section.or("compression", default.compression, word(&COMPRESSIONS)),
    };
    section.finish();
    Quarantine { settings, credentials: origin }
}

/// Whoever gets in can have copies written: that must not be everybody. Who has logged in at the broker is known.
fn may_log_in(sasl: &Section<'_>, bound: &Bound) {
    if bound.open_to_strangers && bound.client_auth != Some(ClientAuth::Sasl) {
        sasl.fail_here(
            "would lend schemaward's rights to every caller: the listener is neither on loopback nor asks for a login or certificates",
        );
    }
}

impl Quarantine {
    /// Whether copies could be written, where a rule asks for them.
    pub(super) fn check(
        &self,
        root: &Section<'_>,
        asked: bool,
        upstream: Option<&UpstreamSettings>,
        memory_budget: usize,
        bound: &Bound,
    ) {
        let settings = &self.settings;
        // Where nothing is copied it does not matter.
        if asked && settings.queue_bytes > memory_budget {
            let (queue, budget) = (show_size(settings.queue_bytes), show_size(memory_budget));
            let message = format!("{queue} is more than limits.memory_budget ({budget})");
            root.fail(root.origin(), "quarantine.queue_bytes", message);
        }
        let Some(upstream) = upstream.filter(|_| asked && !root.is_faulty("quarantine")) else {
            return;
        };
        let certificate = upstream.tls.as_ref().is_some_and(|tls| tls.identity.is_some());
        let own = upstream.sasl.is_some() || settings.sasl.is_some() || certificate;
        let message = match (settings.credentials, own, bound.client_auth) {
            (QuarantineCredentials::Own, false, _) => {
                "a rule asks for quarantine, which needs credentials of schemaward's own: upstream.sasl, upstream.tls.certificate or quarantine.sasl; where the brokers ask for none, write none"
            }
            (QuarantineCredentials::None, true, _) => {
                "is none, but there are credentials of schemaward's own"
            }
            (QuarantineCredentials::None, false, Some(ClientAuth::Sasl)) => {
                "is none, but clients log in at the brokers (listen.client_auth: sasl), so the brokers ask for it: see quarantine.sasl"
            }
            _ => return,
        };
        root.fail(&self.credentials, "quarantine.credentials", message);
    }
}

fn name() -> Kind<impl Fn(&Value) -> Result<DeadLetterName, String>> {
    Kind::new(Shape::Text(NAME), |value| DeadLetterName::parse(&text().read(value)?))
}

const NAME: Form = Form {
    what: "the name of a topic, in which {topic} may stand once",
    pattern: r"^([A-Za-z0-9._-]+(\{topic\}[A-Za-z0-9._-]*)?|\{topic\}[A-Za-z0-9._-]+)$",
};

/// What a rule says: `false`, `true` for the name that all have, or a name of its own.
pub(super) fn dead_letter_topic(
    usual: &DeadLetterName,
) -> Kind<impl Fn(&Value) -> Result<Option<DeadLetterName>, String>> {
    let usual = usual.clone();
    let shape = Shape::Either(Box::new(Shape::Bool), Box::new(Shape::Text(NAME)));
    Kind::new(shape, move |value| match value {
        Value::Bool(false) => Ok(None),
        Value::Bool(true) => Ok(Some(usual.clone())),
        // In quotes, and in JSON that was made of words: no topic is meant.
        Value::Text(word) if word == "false" => Ok(None),
        Value::Text(word) if word == "true" => Ok(Some(usual.clone())),
        Value::Text(_) => name().read(value).map(Some),
        other => Err(wanted("true, false or the name of a topic", other)),
    })
}
