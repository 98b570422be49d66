//! What a registry has by now, so that it can be looked up before the first record needs it.

use serde::Deserialize;
use wildmatch::WildMatch;

use super::{
    RegistryApi, RegistryKey, SchemaId, SchemaRef, SourceError,
    apicurio::Apicurio,
    confluent::{answer, below},
    fetch::Fetcher,
    registries::{Registries, Registry},
};
use crate::{limits::SchemaLimits, text::shown_reference};

/// A subject and the reference by which records name its latest version.
pub type Listed = (String, SchemaRef);

/// The latest version of every subject that one of `globs` matches, at every registry that has subjects: at most
/// [`MAX_SUBJECTS`] in all. A registry that does not answer is left out, and said to be.
pub(super) async fn latest(
    fetcher: &Fetcher,
    limits: &SchemaLimits,
    registries: &Registries,
    globs: &[String],
) -> Vec<Listed> {
    let globs: Vec<_> = globs.iter().map(|glob| WildMatch::new(glob)).collect();
    let mut listed = Vec::new();
    let mut room = MAX_SUBJECTS;
    for registry in registries.all() {
        if let Err(error) = list(fetcher, limits, registry, &globs, &mut room, &mut listed).await {
            let registry = shown_reference(registry.base.as_bytes());
            tracing::warn!(%error, registry, "schemas cannot be looked up in advance");
        }
    }
    listed
}

async fn list(
    fetcher: &Fetcher,
    limits: &SchemaLimits,
    registry: &Registry,
    globs: &[WildMatch],
    room: &mut usize,
    listed: &mut Vec<Listed>,
) -> Result<(), SourceError> {
    let apicurio = match &registry.access.api {
        RegistryApi::Apicurio => Some(Apicurio::new(fetcher, limits, &registry.base)),
        RegistryApi::Confluent => None,
        RegistryApi::Directory { .. } | RegistryApi::Documents { .. } => return Ok(()),
    };
    let base = apicurio.as_ref().map_or(&*registry.base, Apicurio::confluent_base);
    let subjects: Vec<String> = answer(fetcher, &below(base, &["subjects"])?).await?;
    let wanted = |subject: &&String| {
        !matches!(subject.as_str(), "" | "." | "..")
            && globs.iter().any(|glob| glob.matches(subject))
    };
    for subject in subjects.iter().filter(wanted) {
        *room = match room.checked_sub(1) {
            Some(left) => left,
            None => return Err(SourceError::invalid(TOO_MANY)),
        };
        let url = below(base, &["subjects", subject, "versions", "latest"])?;
        let id = match answer::<Latest>(fetcher, &url).await {
            Ok(latest) => latest.id,
            // Deleted since, or in a language that nobody here reads.
            Err(SourceError::NotFound { .. }) => continue,
            Err(error) => return Err(error),
        };
        let Some(id) = SchemaId::new(id) else { continue };
        // Apicurio's Confluent API calls contents by their own ids; its own clients name them so, too.
        let own = apicurio.as_ref().map(|_| RegistryKey::ContentId(id.0.into()));
        for key in [Some(RegistryKey::Id(id)), own].into_iter().flatten() {
            let registry = std::sync::Arc::clone(&registry.base);
            listed.push((subject.clone(), SchemaRef::Registered { registry, key }));
        }
    }
    Ok(())
}

/// What a registry says about the latest version of a subject.
#[derive(Debug, Deserialize)]
struct Latest {
    id: i32,
}

/// Subjects whose latest versions are looked up in advance.
const MAX_SUBJECTS: usize = 1_000;
const TOO_MANY: &str = "more than 1000 subjects match";

#[cfg(test)]
mod tests {
    use crate::schema::{
        RegistryAccess, RegistryApi, SchemaSource,
        testing::{Reply, Server, settings, source, target},
    };

    async fn listed(
        api: RegistryApi,
        globs: &[&str],
        path: &str,
    ) -> (Vec<(String, String)>, usize) {
        let server = Server::start(|head| {
            let path = target(head);
            match path.strip_prefix("/apis/ccompat/v7").unwrap_or(path) {
                "/subjects" => Reply::ok(r#"["a-value", "a-key", "gone-value", "b/c", ".."]"#),
                "/subjects/a-value/versions/latest" => Reply::ok(r#"{"id": 1, "schema": "x"}"#),
                "/subjects/a-key/versions/latest" => Reply::ok(r#"{"id": 2}"#),
                "/subjects/b%2Fc/versions/latest" => Reply::ok(r#"{"id": 3}"#),
                "/down/subjects" => Reply::new(503, "", ""),
                "/many/subjects" => {
                    let all: Vec<_> = (0..2_000).map(|at| format!("{at}")).collect();
                    Reply::ok(serde_json::json!(all).to_string())
                }
                path if path.starts_with("/many/") => Reply::ok(r#"{"id": 1}"#),
                _ => Reply::new(404, "", ""),
            }
        })
        .await;
        let mut settings = settings(&format!("{}{path}", server.url));
        settings.access = RegistryAccess { api, ..RegistryAccess::default() };
        let globs: Vec<_> = globs.iter().map(ToString::to_string).collect();
        let listed = source(&settings).0.latest(&globs).await;
        let base = format!("{}{path}/", server.url);
        let listed = listed.into_iter().map(|(subject, reference)| {
            (subject, reference.text().strip_prefix(&base).unwrap().to_owned())
        });
        (listed.collect(), server.targets().len())
    }

    #[tokio::test]
    async fn the_latest_versions_of_matching_subjects_are_listed() {
        let pairs = |listed: &[(&str, &str)]| -> Vec<(String, String)> {
            listed.iter().map(|(a, b)| (a.to_string(), b.to_string())).collect()
        };
        let confluent = || RegistryApi::Confluent;
        let (found, _) = listed(confluent(), &["*-value", "b*"], "").await;
        assert_eq!(found, pairs(&[("a-value", "schemas/ids/1"), ("b/c", "schemas/ids/3")]));
        let (found, _) = listed(RegistryApi::Apicurio, &["a-key"], "").await;
        assert_eq!(found, pairs(&[("a-key", "schemas/ids/2"), ("a-key", "ids/contentIds/2")]));
        // What fails is tried again, twice.
        assert_eq!(listed(confluent(), &["*"], "/down").await, (Vec::new(), 3));
        let (found, asked) = listed(confluent(), &["*"], "/many").await;
        assert_eq!((found.len(), asked), (1_000, 1_001));
    }
}
