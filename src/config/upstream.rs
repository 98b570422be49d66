//! The section `upstream`: where brokers are.

use super::{
    DEFAULT_CONNECT_TIMEOUT, check,
    listen::Bound,
    section::Section,
    sections::{MILLI, MINUTE},
    tls,
    values::{broker_address, duration},
};
use crate::proxy::settings::UpstreamSettings;

pub(super) fn upstream(mut section: Section<'_>, bound: &Bound) -> Option<UpstreamSettings> {
    let bootstrap = section.list("bootstrap", broker_address);
    let connect_timeout =
        section.or("connect_timeout", DEFAULT_CONNECT_TIMEOUT, duration(MILLI * 10..=MINUTE * 5));
    let tls = tls::client(&mut section);
    if let Ok(tls::Client { own_certificate: Some(origin), .. }) = &tls {
        check::own_credentials(&section, origin, "tls.certificate", bound);
    }
    let bootstrap = check::upstream(&section, bootstrap, bound);
    section.finish();
    Some(UpstreamSettings { bootstrap: bootstrap?, connect_timeout, tls: tls.ok()?.settings })
}
