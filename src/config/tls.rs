//! The sections `tls` of listener, brokers and registries: paths, and on request whether the files at them can be used.

use std::path::PathBuf;

use rustls_pki_types::ServerName;

use super::{
    error::Origin,
    kind::{Form, Kind, Shape},
    node::Value,
    section::{Given, Located, Section, wanted},
    values::{path, text},
};
use crate::tls::{
    self, ClientTlsSettings, IdentityFiles, Role, ServerTlsSettings, TlsClient, TlsFileError,
    TlsServer,
};

/// `listen.tls`. A mapping without certificate is a mistake and not the absence of TLS. `Err`: faulty, and noted.
pub(super) fn server(listen: &mut Section<'_>) -> Result<Option<ServerTlsSettings>, ()> {
    let Some(mut section) = listen.mapping("tls")? else { return Ok(None) };
    let settings = server_keys(&mut section);
    section.finish();
    settings.map(Some)
}

fn server_keys(section: &mut Section<'_>) -> Result<ServerTlsSettings, ()> {
    let client_ca = section.given("client_ca", path());
    let (own, identity) = identity(section)?;
    let places = Places { own, ca: (place(section, &client_ca), "client_ca") };
    let Some(identity) = identity else {
        section.fail_here("needs certificate and key, or must be null");
        return Err(());
    };
    let client_ca = optional(client_ca)?;
    let settings = ServerTlsSettings { identity, client_ca };
    let [certificate, key] = own_files(Some(&settings.identity));
    let files = [certificate, key, (Role::Authority, settings.client_ca.as_ref())];
    usable(section, &places, &files, || TlsServer::check(&settings))?;
    Ok(settings)
}

/// `upstream.tls`, and where it says that we have a certificate. `Err`: faulty, and noted.
pub(super) fn client(upstream: &mut Section<'_>) -> Result<Client, ()> {
    let Some(mut section) = upstream.mapping("tls")? else { return Ok(Client::default()) };
    let name = section.given("server_name", server_name());
    let client = client_keys(&mut section, name);
    section.finish();
    client
}

/// `tls` of a registry, whose certificate must have the name that stands in its URL. `Err`: faulty, and noted.
pub(super) fn registry(registry: &mut Section<'_>) -> Result<Option<ClientTlsSettings>, ()> {
    let Some(mut section) = registry.mapping("tls")? else { return Ok(None) };
    let client = client_keys(&mut section, Given::Absent);
    section.finish();
    client.map(|client| client.settings)
}

fn client_keys(
    section: &mut Section<'_>,
    server_name: Given<ServerName<'static>>,
) -> Result<Client, ()> {
    let ca = section.given("ca", path());
    let (own, identity) = identity(section)?;
    let places = Places { own, ca: (place(section, &ca), "ca") };
    let settings =
        ClientTlsSettings { ca: optional(ca)?, server_name: optional(server_name)?, identity };
    let [certificate, key] = own_files(settings.identity.as_ref());
    let files = [certificate, key, (Role::Authority, settings.ca.as_ref())];
    usable(section, &places, &files, || TlsClient::check(&settings))?;
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

impl Places {
    fn of(&self, role: Role) -> (&Origin, &'static str) {
        match role {
            Role::Authority => (&self.ca.0, self.ca.1),
            Role::Certificate => (&self.own.0, "certificate"),
            Role::Key => (&self.own.1, "key"),
        }
    }
}

/// What may be left out. `Err`: faulty, and noted.
fn optional<T>(given: Given<T>) -> Result<Option<T>, ()> {
    match given {
        Given::Faulty => Err(()),
        given => Ok(given.value()),
    }
}

/// Certificate and key: both or neither.
fn identity(section: &mut Section<'_>) -> Result<((Origin, Origin), Option<IdentityFiles>), ()> {
    let (certificate, key) = (section.given("certificate", path()), section.given("key", path()));
    let places = (place(section, &certificate), place(section, &key));
    let pair = match (certificate, key) {
        (Given::Value(certificate), Given::Value(key)) => {
            Some(IdentityFiles { certificate: certificate.value, key: key.value })
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

/// Has the files read where that is wanted, and notes what is wrong with them: each that cannot be read, else the first that
/// is not what it should be.
fn usable(
    section: &Section<'_>,
    places: &Places,
    files: &[(Role, Option<&PathBuf>)],
    check: impl FnOnce() -> Result<Vec<String>, TlsFileError>,
) -> Result<(), ()> {
    if !section.reads_files() {
        return Ok(());
    }
    let unreadable = files.iter().filter_map(|(role, path)| tls::readable(*role, (*path)?).err());
    let mut wrong: Vec<_> = unreadable.collect();
    if wrong.is_empty() {
        wrong.extend(check().err());
    }
    for error in &wrong {
        let (origin, key) = places.of(error.role);
        section.fail(origin, key, error.to_string());
    }
    if wrong.is_empty() { Ok(()) } else { Err(()) }
}

/// The files of an identity, if there is one.
fn own_files(identity: Option<&IdentityFiles>) -> [(Role, Option<&PathBuf>); 2] {
    [
        (Role::Certificate, identity.map(|files| &files.certificate)),
        (Role::Key, identity.map(|files| &files.key)),
    ]
}

/// A name that a certificate can have.
fn server_name() -> Kind<impl Fn(&Value) -> Result<ServerName<'static>, String>> {
    let shape = Shape::Text(Form {
        what: "a host name or an IP address",
        pattern: r"^(([A-Za-z0-9_-]+\.)*[A-Za-z0-9_-]*[A-Za-z_-][A-Za-z0-9_-]*\.?|([0-9]+\.){3}[0-9]+|[0-9A-Fa-f]*:[0-9A-Fa-f:.]*)$",
    });
    Kind::new(shape, |value| {
        let name = text().read(value)?;
        let parsed = ServerName::try_from(name.as_str()).map(|name| name.to_owned());
        parsed.map_err(|_| wanted("a host name or an IP address", value))
    })
}
