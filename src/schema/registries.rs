//! Which of the configured registries a URL belongs to.

use std::sync::Arc;

use url::Url;

use super::{RegistryAccess, RegistryApi, RegistrySettings};

/// A registry by its base URL.
#[derive(Debug, Clone)]
pub(super) struct Registry {
    /// Its base URL with a slash at the end: what relative paths are joined to.
    pub(super) directory: Url,
    /// The same without that slash: what ids are asked under.
    pub(super) base: Arc<str>,
    /// How it is asked.
    pub(super) access: RegistryAccess,
}

/// Every registry, in the order of the configuration.
#[derive(Debug, Clone)]
pub(super) struct Registries {
    all: Vec<Registry>,
}

impl Registry {
    /// The registry below `url`, whose user information, query and fragment do not count. `None` for what is no URL of a
    /// host.
    pub(super) fn new(url: &Url, access: RegistryAccess) -> Option<Self> {
        let path = url.path().trim_end_matches('/');
        let base = format!("{}{path}", url.origin().ascii_serialization());
        let directory = Url::parse(&format!("{base}/")).ok()?;
        Some(Self { directory, base: base.into(), access })
    }

    /// Whether it is a folder: nobody is asked.
    pub(super) const fn is_folder(&self) -> bool {
        matches!(self.access.api, RegistryApi::Directory { .. })
    }

    /// Whether a path that looks like a registry's, elsewhere at its origin, may be that of a registry with Confluent's API.
    pub(super) const fn may_have_others_below(&self) -> bool {
        matches!(self.access.api, RegistryApi::Apicurio | RegistryApi::Confluent)
    }

    /// The path of `url` below the base URL.
    pub(super) fn path_below<'u>(&self, url: &'u Url) -> Option<&'u str> {
        let same = url.origin() == self.directory.origin();
        let (path, directory) = (url.path(), self.directory.path());
        // The base URL itself has no slash at its end.
        let itself = || directory.strip_suffix('/').filter(|base| *base == path).map(|_| "");
        path.strip_prefix(directory).or_else(itself).filter(|_| same)
    }
}

impl Registries {
    /// Those of the configuration. Without a host a URL is that of no registry.
    pub(super) fn new(settings: &RegistrySettings) -> Self {
        let named = settings.registries();
        Self::of(named.filter_map(|(url, access)| Registry::new(url, access.clone())).collect())
    }

    /// These.
    pub(super) fn of(all: Vec<Registry>) -> Self {
        Self { all }
    }

    pub(super) fn all(&self) -> &[Registry] {
        &self.all
    }

    /// The registry that `url` lies below, the nearest one; else the first at the same origin, folders aside.
    pub(super) fn owner(&self, url: &Url) -> Option<(usize, &Registry)> {
        let registries = || self.all.iter().enumerate();
        let below = registries().filter(|(_, registry)| registry.path_below(url).is_some());
        // Of equal ones the first.
        let nearest = below.rev().max_by_key(|(_, registry)| registry.base.len());
        nearest.or_else(|| {
            let origin = url.origin();
            registries().find(|(_, it)| !it.is_folder() && it.directory.origin() == origin)
        })
    }

    /// The folder that stands for `url`.
    pub(super) fn folder(&self, url: &Url) -> Option<(usize, &Registry)> {
        self.owner(url).filter(|(_, registry)| registry.is_folder())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::OtherRegistry;

    #[test]
    fn a_url_belongs_to_the_nearest_registry_above_it_else_to_the_first_of_its_origin() {
        let other = |url: &str, api| OtherRegistry {
            url: Url::parse(url).unwrap(),
            access: RegistryAccess { api, ..RegistryAccess::default() },
        };
        let folder = || RegistryApi::Directory { path: "/etc/schemas".into() };
        let confluent = RegistryApi::default;
        let settings = RegistrySettings {
            url: Some(Url::parse("http://me@registry:8081/a/?x").unwrap()),
            others: vec![
                other("http://registry:8081/a/b/", confluent()),
                other("http://registry:8081/a/b/", confluent()),
                other("http://files/x", folder()),
                other("http://registry:8081/files", folder()),
            ],
            ..RegistrySettings::default()
        };
        let registries = Registries::new(&settings);
        let table = [
            ("http://registry:8081/a/schemas/ids/4", Some(0)),
            ("http://registry:8081/a/", Some(0)),
            ("http://registry:8081/a", Some(0)),
            ("http://registry:8081/a/b/c", Some(1)),
            ("http://registry:8081/a/b", Some(1)),
            ("http://registry:8081/files", Some(4)),
            ("http://files/x", Some(3)),
            ("http://registry:8081/a/bc", Some(0)),
            ("http://registry:8081/elsewhere", Some(0)),
            ("http://registry:8081/files/a", Some(4)),
            ("http://files/x/y", Some(3)),
            ("http://files/y", None),
            ("https://registry:8081/a/", None),
            ("http://registry/a/", None),
        ];
        for (url, place) in table {
            let url = Url::parse(url).unwrap();
            assert_eq!(registries.owner(&url).map(|(at, _)| at), place, "{url}");
            let folder = registries.folder(&url).is_some();
            assert_eq!(folder, place.is_some_and(|at| at >= 3), "{url}");
        }
    }
}
