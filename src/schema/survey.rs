//! Tries registries and folders as look-ups would ask them, and says whether schemas can be had there.

use reqwest::StatusCode;
use url::Url;

use super::{
    CredentialFiles, DocumentUrl, Guid, HttpSource, RegistryAccess, RegistryApi, RegistryKey,
    SchemaId, SchemaRef, SourceError, Template,
    apicurio::Apicurio,
    confluent::below,
    fetch::{Fetcher, MAX_REDIRECTS, Trouble, failed, is_redirect, redirect_target},
    registries::Registry,
};
use crate::text::{shown, shown_reference};

/// What a server answered.
struct Answered {
    status: StatusCode,
    /// Whether an object in JSON came, and whether a schema is in it.
    object: Option<bool>,
}

impl HttpSource {
    /// Asks the registry at `url` for a schema, or reads every schema of a folder, and says in words what came of it.
    ///
    /// # Errors
    /// In words as well: why no schema can be had there.
    pub async fn survey(&self, url: &Url, access: &RegistryAccess) -> Result<String, String> {
        let unusable = || "its URL cannot be used".to_owned();
        let registry = Registry::new(url, access.clone()).ok_or_else(unusable)?;
        if registry.is_folder() {
            return self.survey_folder(url).await;
        }
        let told = |error: SourceError| error.to_string();
        let asked = match &access.api {
            RegistryApi::Apicurio => {
                Apicurio::new(&self.fetcher, &self.limits, &registry.base).first().map_err(told)?
            }
            RegistryApi::Documents { template: Some(template) } => {
                filled(template, &registry.base).ok_or_else(unusable)?
            }
            RegistryApi::Documents { template: None } => registry.directory.clone(),
            RegistryApi::Confluent | RegistryApi::Directory { .. } => {
                below(&registry.base, &["schemas", "ids", "1"]).map_err(told)?
            }
        };
        let answered = self.fetcher.knock(&asked).await;
        judge(&answered.map_err(|error| without(&error, &asked))?, access)
    }

    /// Asks an origin that may be asked, without credentials, and says in words what came of it.
    ///
    /// # Errors
    /// In words as well: why it cannot be asked.
    pub async fn survey_origin(&self, url: &Url) -> Result<String, String> {
        let answered = self.fetcher.knock(url).await.map_err(|error| without(&error, url))?;
        match answered.status {
            status if status.is_server_error() => Err(format!("answered {status}")),
            status => Ok(format!("answers ({status})")),
        }
    }

    async fn survey_folder(&self, url: &Url) -> Result<String, String> {
        let folder = self.folders.of(url).ok_or("another folder stands for its URL")?;
        let reading = folder.clone();
        let files = tokio::task::spawn_blocking(move || reading.schema_files()).await;
        let files = files.unwrap_or_default();
        let (count, mut broken, mut first) = (files.len(), 0_usize, None);
        for path in files {
            let url = folder.url(&path).map_err(|error| error.to_string())?;
            let reference = SchemaRef::Document(DocumentUrl(url.as_str().into()));
            if let Err(error) = folder.look_up(&reference, None, &self.compile).await {
                broken += 1;
                first.get_or_insert_with(|| (path, without(&error, &url)));
            }
        }
        match first {
            Some((path, why)) => {
                let path = shown(path.as_bytes());
                Err(format!("{broken} of {count} schema files cannot be used: {path}: {why}"))
            }
            None if count == 0 => Err("there is no schema file in the folder".to_owned()),
            None => Ok(format!("schema files: {count}, each can be used")),
        }
    }
}

impl Fetcher {
    /// Asks once, however the server fares, and follows redirects as look-ups do.
    async fn knock(&self, url: &Url) -> Result<Answered, SourceError> {
        let (mut target, mut at_home) = (url.clone(), true);
        for _ in 0..=MAX_REDIRECTS {
            let asked = tokio::time::timeout(self.request_timeout, self.ask_once(&target, at_home));
            let asked = asked.await.unwrap_or_else(|_| Err(self.no_answer(&target)));
            match asked.map_err(Trouble::into_error)? {
                Ok(answered) => return Ok(answered),
                Err(next) => {
                    at_home &= self.same_place(url, &next);
                    target = next;
                }
            }
        }
        Err(failed(url, &format!("more than {MAX_REDIRECTS} redirects")))
    }

    /// What is answered, or where a redirect leads.
    async fn ask_once(&self, url: &Url, at_home: bool) -> Result<Result<Answered, Url>, Trouble> {
        let response = self.send(url, at_home, None).await?;
        let status = response.status();
        if is_redirect(status) {
            return redirect_target(url, response.headers()).map(Err);
        }
        let body = self.body(url, response).await?;
        let json = serde_json::from_slice::<serde_json::Value>(&body).ok();
        let object = json.and_then(|json| Some(json.as_object()?.contains_key("schema")));
        Ok(Ok(Answered { status, object }))
    }
}

/// What an answer says of a registry.
fn judge(answered: &Answered, access: &RegistryAccess) -> Result<String, String> {
    let Answered { status, object } = answered;
    let named = access.credentials != CredentialFiles::None;
    let documents = matches!(access.api, RegistryApi::Documents { .. });
    let listing = matches!(access.api, RegistryApi::Documents { template: None });
    let well = if named { "answers, and accepts the credentials" } else { "answers" };
    match *status {
        StatusCode::FORBIDDEN if listing => {
            Ok(format!("answers; what it permits to read only a document can tell ({status})"))
        }
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN if named => {
            Err(format!("does not accept schemaward's credentials ({status})"))
        }
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
            Err(format!("wants credentials, and none are configured ({status})"))
        }
        status if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS => {
            Err(format!("answered {status}"))
        }
        _ if documents => Ok(well.to_owned()),
        StatusCode::OK if access.api == RegistryApi::Confluent && *object != Some(true) => {
            Err("answers, but not as a registry".to_owned())
        }
        StatusCode::OK => Ok(well.to_owned()),
        StatusCode::NOT_FOUND if object.is_some() => Ok(well.to_owned()),
        StatusCode::NOT_FOUND => Ok(format!(
            "{well}, but not like a registry's API ({status}, no JSON): perhaps only documents can be had by path"
        )),
        status => Err(format!("answered {status}")),
    }
}

/// Where `template` has a schema that need not exist.
fn filled(template: &Template, base: &str) -> Option<Url> {
    let id = SchemaId::new(1).map(RegistryKey::Id);
    let keys = [RegistryKey::Guid(Guid([0; 16])), RegistryKey::Fingerprint(0)];
    let path = id.into_iter().chain(keys).find_map(|key| template.fill(&key))?;
    Url::parse(&format!("{base}{path}")).ok()
}

/// What `error` says, without the URL, which is told already.
fn without(error: &SourceError, url: &Url) -> String {
    let text = error.to_string();
    let named = format!("{}: ", shown_reference(url.as_str().as_bytes()));
    text.strip_prefix(&named).map(str::to_owned).unwrap_or(text)
}
