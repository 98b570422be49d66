//! The section `registry`: where schemas are, and as whom registries are asked.

use std::{fs, path::PathBuf, time::Duration};

use url::Url;

use super::{
    section::{Given, Located, Section},
    sections::{DAY, HOUR, MILLI, MINUTE},
    tls,
    values::{base_url, duration, integer, origin, path, template, text, word},
};
use crate::schema::{
    CacheSettings, CircuitSettings, CredentialFiles, LookupBudget, OtherRegistry, RegistryAccess,
    RegistryApi, RegistrySettings,
};

/// What a registry understands, by its word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Api {
    Apicurio,
    Confluent,
    Directory,
    Documents,
}

pub(super) const APIS: [(&str, Api); 4] = [
    ("confluent", Api::Confluent),
    ("apicurio", Api::Apicurio),
    ("documents", Api::Documents),
    ("directory", Api::Directory),
];

pub(super) fn registry(mut section: Section<'_>) -> (RegistrySettings, CacheSettings) {
    let default = RegistrySettings::default();
    let (url, access) = endpoint(&mut section);
    let allow = section.list("allow", origin()).value().unwrap_or_default();
    let warm_up = section.list("warm_up", text()).value().unwrap_or_default();
    let others = section.sections("others").into_iter().filter_map(other).collect();
    let settings = RegistrySettings {
        url,
        access,
        allow: allow.into_iter().map(|located| located.value).collect(),
        others,
        warm_up: warm_up.into_iter().map(|located| located.value).collect(),
        request_timeout: section.or(
            "request_timeout",
            default.request_timeout,
            duration(MILLI * 10..=MINUTE),
        ),
        max_concurrent_requests: section.or(
            "max_concurrent_requests",
            default.max_concurrent_requests,
            integer(1..=1_000),
        ),
        circuit: circuit(&mut section),
    };
    let budget = budget(&mut section);
    let cache = cache(section.section("cache"));
    section.finish();
    (settings, CacheSettings { budget, ..cache })
}

fn circuit(section: &mut Section<'_>) -> CircuitSettings {
    let default = CircuitSettings::default();
    CircuitSettings {
        failures: section.or("circuit_failures", default.failures, integer(0..=1_000)),
        pause: section.or("circuit_pause", default.pause, duration(MILLI * 10..=HOUR)),
    }
}

fn budget(section: &mut Section<'_>) -> LookupBudget {
    let default = LookupBudget::default();
    LookupBudget {
        per_second: section.or("max_lookups_per_second", default.per_second, integer(1..=100_000)),
        burst: section.or("lookup_burst", default.burst, integer(1..=1_000_000)),
    }
}

/// A registry beside the main one. `None`: faulty, and noted.
fn other(mut section: Section<'_>) -> Option<OtherRegistry> {
    let (url, access) = endpoint(&mut section);
    if url.is_none() && !section.is_faulty("url") {
        section.fail(section.origin(), "url", "missing");
    }
    section.finish();
    Some(OtherRegistry { url: url?, access })
}

/// Where a registry is and how it is asked. A folder needs no URL: there is one that stands for it.
fn endpoint(section: &mut Section<'_>) -> (Option<Url>, RegistryAccess) {
    let url = section.given("url", base_url());
    let api = api(section);
    let credentials = credentials(section);
    let tls = tls::registry(section);
    let folder = matches!(api, RegistryApi::Directory { .. });
    let secured = credentials != CredentialFiles::None || matches!(tls, Ok(Some(_)));
    if secured && folder {
        section.fail_here("has credentials or tls for a folder, where nobody is asked");
    } else if secured && matches!(url, Given::Absent) {
        section.fail_here("has credentials or tls, but no url that they are for");
    }
    let url = match url {
        Given::Absent if folder => Url::parse(FOLDER_URL).ok(),
        given => given.value(),
    };
    (url, RegistryAccess { api, credentials, tls: tls.unwrap_or_default() })
}

fn api(section: &mut Section<'_>) -> RegistryApi {
    let api = section.given("api", word(&APIS));
    let template = section.given("template", template());
    let path = section.given("path", path());
    let wanted = match &api {
        Given::Value(Located { value, .. }) => *value,
        Given::Absent => Api::Confluent,
        Given::Faulty => return RegistryApi::default(),
    };
    if let (Given::Value(template), false) = (&template, wanted == Api::Documents) {
        section.fail(&template.origin, "template", "is for api documents only");
    }
    if let (Given::Value(path), false) = (&path, wanted == Api::Directory) {
        section.fail(&path.origin, "path", "is for api directory only");
    }
    match wanted {
        Api::Apicurio => RegistryApi::Apicurio,
        Api::Confluent => RegistryApi::Confluent,
        Api::Directory => {
            if matches!(path, Given::Absent) {
                let message = "missing: api directory needs the folder of the schema files";
                section.fail(section.origin(), "path", message);
            }
            if let Given::Value(Located { origin, value: folder }) = &path
                && section.reads_files()
                && let Err(error) = fs::read_dir(folder)
            {
                let message = format!("{}: cannot be read: {error}", folder.display());
                section.fail_later(origin, "path", message);
            }
            RegistryApi::Directory { path: path.value().unwrap_or_default() }
        }
        Api::Documents => RegistryApi::Documents { template: template.value() },
    }
}

/// Who asks: one way of saying so, or none.
fn credentials(section: &mut Section<'_>) -> CredentialFiles {
    let username = section.given("username_file", path());
    let password = section.given("password_file", path());
    let token = section.given("token_file", path());
    if let (Given::Value(token), false) =
        (&token, matches!((&username, &password), (Given::Absent, Given::Absent)))
    {
        let message = "cannot be had together with username_file and password_file";
        section.fail(&token.origin, "token_file", message);
    }
    match (username, password) {
        (Given::Value(username), Given::Value(password)) => {
            let files = [("username_file", &username), ("password_file", &password)];
            let credentials = CredentialFiles::Basic {
                username: username.value.clone(),
                password: password.value.clone(),
            };
            can_be_used(section, &credentials, &files);
            credentials
        }
        (Given::Value(lone), Given::Absent) => {
            section.fail(&lone.origin, "password_file", "missing: it belongs to username_file");
            CredentialFiles::None
        }
        (Given::Absent, Given::Value(lone)) => {
            section.fail(&lone.origin, "username_file", "missing: it belongs to password_file");
            CredentialFiles::None
        }
        _ => token.located().map_or(CredentialFiles::None, |token| {
            let credentials = CredentialFiles::Bearer { token: token.value.clone() };
            can_be_used(section, &credentials, &[("token_file", &token)]);
            credentials
        }),
    }
}

/// Has the files read where that is wanted, and notes what is wrong with each, else with what they are together.
fn can_be_used(
    section: &Section<'_>,
    credentials: &CredentialFiles,
    files: &[(&str, &Located<PathBuf>)],
) {
    if !section.reads_files() {
        return;
    }
    let mut sound = true;
    for (key, file) in files {
        if let Err(fault) = CredentialFiles::check_file(&file.value) {
            section.fail_later(&file.origin, key, fault.to_string());
            sound = false;
        }
    }
    if let (true, Some((key, file)), Err(fault)) = (sound, files.first(), credentials.check()) {
        section.fail_later(&file.origin, key, fault.to_string());
    }
}

fn cache(mut section: Section<'_>) -> CacheSettings {
    let default = CacheSettings::default();
    let cache = CacheSettings {
        max_entries: section.or("max_entries", default.max_entries, integer(1..=10_000_000)),
        document_ttl: section.or(
            "document_ttl",
            default.document_ttl,
            duration(Duration::ZERO..=DAY * 30),
        ),
        negative_ttl: section.or(
            "negative_ttl",
            default.negative_ttl,
            duration(Duration::ZERO..=DAY),
        ),
        unavailable_ttl: section.or(
            "unavailable_ttl",
            default.unavailable_ttl,
            duration(Duration::ZERO..=HOUR),
        ),
        stale_ttl: section.or("stale_ttl", default.stale_ttl, duration(Duration::ZERO..=DAY * 30)),
        budget: default.budget,
    };
    section.finish();
    cache
}

/// What stands for a folder in references where nothing else is configured: a host that cannot exist (RFC 2606).
const FOLDER_URL: &str = "http://schemas.invalid/";

#[cfg(test)]
mod tests {
    use crate::{
        config::Config,
        schema::{CredentialFiles, OtherRegistry, RegistryAccess, RegistryApi, Template},
        tls::{ClientTlsSettings, IdentityFiles},
    };

    fn parse(registry: &str) -> Result<Config, String> {
        let text = format!("upstream: {{bootstrap: [k:1]}}\nregistry: {registry}");
        Config::parse(&text, "f.yaml", std::iter::empty())
            .map_err(|errors| errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))
    }

    #[test]
    fn each_registry_has_its_own_api_credentials_and_tls() {
        let config = parse(
            "{url: 'http://main:8081/x', username_file: /u, password_file: /p,
               allow: ['https://*.example.com:8443'],
               others: [{url: 'https://azure', api: documents, template: '/by/{guid_hex}?v=1', token_file: /t},
                        {url: 'https://apicurio/apis', api: apicurio, tls: {ca: /ca, certificate: /c, key: /k}},
                        {url: 'https://edge/a', api: directory, path: /schemas},
                        {api: directory, path: /more}]}",
        )
        .unwrap();
        let access = |api| RegistryAccess { api, ..RegistryAccess::default() };
        let other = |url: &str, access| OtherRegistry { url: url.parse().unwrap(), access };
        let template = Template::parse("/by/{guid_hex}?v=1");
        let tls = ClientTlsSettings {
            ca: Some("/ca".into()),
            server_name: None,
            identity: Some(IdentityFiles { certificate: "/c".into(), key: "/k".into() }),
        };
        let expected = [
            other(
                "https://azure",
                RegistryAccess {
                    credentials: CredentialFiles::Bearer { token: "/t".into() },
                    ..access(RegistryApi::Documents { template })
                },
            ),
            other(
                "https://apicurio/apis",
                RegistryAccess { tls: Some(tls), ..access(RegistryApi::Apicurio) },
            ),
            other("https://edge/a", access(RegistryApi::Directory { path: "/schemas".into() })),
            other(
                "http://schemas.invalid",
                access(RegistryApi::Directory { path: "/more".into() }),
            ),
        ];
        assert_eq!(config.registry.others, expected);
        let basic = CredentialFiles::Basic { username: "/u".into(), password: "/p".into() };
        assert_eq!(config.registry.access.credentials, basic);
        let again = config.effective().to_yaml();
        let again = Config::parse(&again, "again", std::iter::empty()).unwrap();
        assert_eq!(again, config);
    }

    #[test]
    fn a_folder_alone_is_enough() {
        let config = parse("{api: directory, path: /etc/schemas}").unwrap();
        assert_eq!(config.registry.url.unwrap().as_str(), "http://schemas.invalid/");
    }

    #[test]
    fn mistakes_are_named_with_their_place() {
        let table = [
            (
                "{url: 'http://r', api: glue}",
                "registry.api: must be one of confluent, apicurio, documents, directory",
            ),
            (
                "{url: 'http://r', template: '/{id}'}",
                "registry.template: is for api documents only",
            ),
            ("{url: 'http://r', path: /x}", "registry.path: is for api directory only"),
            (
                "{url: 'http://r', api: documents, template: '/{x}'}",
                "registry.template: must be a path with one of",
            ),
            ("{api: directory}", "registry.path: missing"),
            (
                "{api: directory, path: /x, token_file: /t}",
                "registry: has credentials or tls for a folder",
            ),
            (
                "{allow: ['http://a'], token_file: /t}",
                "registry: has credentials or tls, but no url",
            ),
            ("{url: 'http://r', username_file: /u}", "registry.password_file: missing"),
            ("{url: 'http://r', password_file: /u}", "registry.username_file: missing"),
            (
                "{url: 'http://r', username_file: /u, password_file: /p, token_file: /t}",
                "registry.token_file: cannot be had together",
            ),
            ("{url: 'http://r', tls: {server_name: x}}", "registry.tls.server_name: unknown key"),
            ("{url: 'http://r', tls: {key: /k}}", "registry.tls.certificate: missing"),
            ("{url: 'http://r', others: [{api: confluent}]}", "registry.others[0].url: missing"),
            (
                "{url: 'http://r', others: [{url: 'http://s', allow: []}]}",
                "registry.others[0].allow: unknown key",
            ),
            ("{url: 'http://*.r.org'}", "registry.url: must name one host"),
            ("{allow: ['http://*.org']}", "registry.allow[0]: may have a * only"),
            ("{allow: ['http://*']}", "registry.allow[0]: may have a * only"),
            ("{allow: ['http://a*.example.com']}", "registry.allow[0]: may have a * only"),
            ("{allow: ['http://a.*.example.com']}", "registry.allow[0]: may have a * only"),
        ];
        for (registry, expected) in table {
            let errors = parse(registry).unwrap_err();
            let named = errors.lines().any(|line| line.contains(&format!(": {expected}")));
            assert!(named, "{registry} gives {errors}");
        }
    }
}
