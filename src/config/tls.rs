//! The sections `tls` of listener, brokers and registries: paths, and on request whether the files at them can be used.

use std::path::PathBuf;

use rustls_pki_types::ServerName;

use super::{
    error::Origin,
    node::Value,
    section::{Given, Located, Section, wanted},
    values::text,
};
use crate::tls::{
    ClientTlsSettings, IdentityFiles, Role, ServerTlsSettings, TlsClient, TlsFileError, TlsServer,
};

/// `listen.tls`. A mapping without certificate is a mistake and not the absence of TLS. `Err`: faulty, and noted.
pub(super) fn server(listen: &mut Section<'_>) -> Result<Option<ServerTlsSettings>, ()> {
    let Some(mut section) = mapping(listen)? else { return Ok(None) };
    let settings = server_keys(&mut section);
    section.finish();
    settings.map(Some)
}

fn server_keys(section: &mut Section<'_>) -> Result<ServerTlsSettings, ()> {
    let client_ca = section.given("client_ca", text);
    let (own, identity) = identity(section)?;
    let places = Places { own, ca: (place(section, &client_ca), "client_ca") };
    let Some(identity) = identity else {
        section.fail_here("needs certificate and key, or must be null");
        return Err(());
    };
    let client_ca = optional(client_ca)?.map(PathBuf::from);
    let settings = ServerTlsSettings { identity, client_ca };
    usable(section, &places, || TlsServer::check(&settings))?;
    Ok(settings)
}

/// `upstream.tls`, and where it says that we have a certificate. `Err`: faulty, and noted.
pub(super) fn client(upstream: &mut Section<'_>) -> Result<Client, ()> {
    let Some(mut section) = mapping(upstream)? else { return Ok(Client::default()) };
    let name = section.given("server_name", server_name);
    let client = client_keys(&mut section, name);
    section.finish();
    client
}

/// `tls` of a registry, whose certificate must have the name that stands in its URL. `Err`: faulty, and noted.
pub(super) fn registry(registry: &mut Section<'_>) -> Result<Option<ClientTlsSettings>, ()> {
    let Some(mut section) = mapping(registry)? else { return Ok(None) };
    let client = client_keys(&mut section, Given::Absent);
    section.finish();
    client.map(|client| client.settings)
}

fn client_keys(
    section: &mut Section<'_>,
    server_name: Given<ServerName<'static>>,
) -> Result<Client, ()> {
    let ca = section.given("ca", text);
    let (own, identity) = identity(section)?;
    let places = Places { own, ca: (place(section, &ca), "ca") };
    let settings = ClientTlsSettings {
        ca: optional(ca)?.map(PathBuf::from),
        server_name: optional(server_name)?,
        identity,
    };
    usable(section, &places, || TlsClient::check(&settings))?;
    let own_certificate = settings.identity.as_ref().map(|_| places.own.0);
    Ok(Client { settings: Some(settings), own_certificate })
}

/// What `upstream.tls` says.
#[derive(Debug, Default)]
pub(super) struct Client {
    pub(super) settings: Option<ClientTlsSettings>,
    /// Where it says that we have a certificate.
    pub(super) own_certificate: Option<Origin>,
}

/// Where the files of a section are named, for what is said about them.
struct Places {
    own: (Origin, Origin),
    ca: (Origin, &'static str),
}

/// What may be left out. `Err`: faulty, and noted.
fn optional<T>(given: Given<T>) -> Result<Option<T>, ()> {
    match given {
        Given::Faulty => Err(()),
        given => Ok(given.value()),
    }
}

/// The mapping `tls`, if it is there. `Err`: it is something else, which is noted.
fn mapping<'n>(section: &mut Section<'n>) -> Result<Option<Section<'n>>, ()> {
    let Some(node) = section.take("tls") else { return Ok(None) };
    let is_mapping = matches!(node.value, Value::Map(_));
    let child = section.child("tls", node);
    if is_mapping { Ok(Some(child)) } else { Err(()) }
}

/// Certificate and key: both or neither.
fn identity(section: &mut Section<'_>) -> Result<((Origin, Origin), Option<IdentityFiles>), ()> {
    let (certificate, key) = (section.given("certificate", text), section.given("key", text));
    let places = (place(section, &certificate), place(section, &key));
    let pair = match (certificate, key) {
        (Given::Value(certificate), Given::Value(key)) => {
            Some(IdentityFiles { certificate: certificate.value.into(), key: key.value.into() })
        }
        (Given::Absent, Given::Absent) => None,
        (Given::Value(lone), Given::Absent) => {
            section.fail(&lone.origin, "key", "missing: it belongs to the certificate");
            return Err(());
        }
        (Given::Absent, Given::Value(lone)) => {
            section.fail(&lone.origin, "certificate", "missing: it belongs to the key");
            return Err(());
        }
        _ => return Err(()),
    };
    Ok((places, pair))
}

fn place<T>(section: &Section<'_>, given: &Given<T>) -> Origin {
    match given {
        Given::Value(Located { origin, .. }) => origin.clone(),
        Given::Absent | Given::Faulty => section.origin().clone(),
    }
}

/// Has the files read where that is wanted, and notes what is wrong with them.
fn usable(
    section: &Section<'_>,
    places: &Places,
    read: impl FnOnce() -> Result<Vec<String>, TlsFileError>,
) -> Result<(), ()> {
    if !section.reads_files() {
        return Ok(());
    }
    read().map(drop).map_err(|error| {
        let (origin, key) = match error.role {
            Role::Authority => (&places.ca.0, places.ca.1),
            Role::Certificate => (&places.own.0, "certificate"),
            Role::Key => (&places.own.1, "key"),
        };
        section.fail(origin, key, error.to_string());
    })
}

/// A name that a certificate can have.
fn server_name(value: &Value) -> Result<ServerName<'static>, String> {
    let name = text(value)?;
    let parsed = ServerName::try_from(name.as_str()).map(|name| name.to_owned());
    parsed.map_err(|_| wanted("a host name or an IP address", value))
}
