//! The section `upstream`: where brokers are.

use super::{
    DEFAULT_CONNECT_TIMEOUT, check,
    listen::Bound,
    section::{Given, Section},
    sections::{MILLI, MINUTE, SASL_MECHANISMS},
    tls,
    values::{BROKER_ADDRESSES, broker_address, duration, path, word},
};
use crate::proxy::{
    sasl::credentials::Credentials,
    settings::{SaslMechanism, SaslSettings, UpstreamSettings},
};

pub(super) fn upstream(mut section: Section<'_>, bound: &Bound) -> Option<UpstreamSettings> {
    let bootstrap = section.list_or_commas("bootstrap", broker_address(), BROKER_ADDRESSES);
    let connect_timeout =
        section.or("connect_timeout", DEFAULT_CONNECT_TIMEOUT, duration(MILLI * 10..=MINUTE * 5));
    let tls = tls::client(&mut section);
    if let Ok(tls::Client { own_certificate: Some(origin), .. }) = &tls {
        check::own_credentials(&section, origin, "tls.certificate", bound);
    }
    let bootstrap = check::upstream(&section, bootstrap, bound);
    let sasl = sasl(section.section("sasl"), |section| check::own_login(section, bound));
    section.finish();
    let tls = tls.ok()?.settings;
    Some(UpstreamSettings { bootstrap: bootstrap?, connect_timeout, tls, sasl })
}

/// A login of schemaward's own: none without files. `check` is asked whether there may be one.
pub(super) fn sasl(
    mut section: Section<'_>,
    check: impl FnOnce(&Section<'_>),
) -> Option<SaslSettings> {
    let mechanism = section.given("mechanism", word(&SASL_MECHANISMS));
    let username_file = section.given("username_file", path());
    let password_file = section.given("password_file", path());
    let default = match &mechanism {
        Given::Value(given) => given.value == DEFAULT_MECHANISM,
        Given::Absent | Given::Faulty => true,
    };
    let files = [("username_file", &username_file), ("password_file", &password_file)];
    let none = files.iter().all(|(_, given)| matches!(given, Given::Absent));
    if !(none && default) {
        for (key, given) in files {
            if matches!(given, Given::Absent) {
                section.fail(section.origin(), key, "missing");
            }
        }
        check(&section);
    }
    if section.reads_files() {
        for (key, given) in files {
            if let Given::Value(file) = given
                && let Err(error) = Credentials::check(&file.value)
            {
                section.fail_later(&file.origin, key, error.to_string());
            }
        }
    }
    section.finish();
    Some(SaslSettings {
        mechanism: mechanism.value().unwrap_or(DEFAULT_MECHANISM),
        username_file: username_file.value()?,
        password_file: password_file.value()?,
    })
}

pub(super) const DEFAULT_MECHANISM: SaslMechanism = SaslMechanism::ScramSha512;
