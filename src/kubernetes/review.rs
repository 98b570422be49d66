//! An AdmissionReview (admission.k8s.io/v1) and the answer to it. Pure: a dry run differs in nothing.

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::json;

use super::{
    documents::bounded_json,
    patch::difference,
    pod::{self, Defaults},
    value::Value,
    wishes::Wishes,
};
use crate::{metrics::ReviewOutcome, text::shown};

/// What becomes of a pod that asks for a sidecar which it cannot get.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnImpossible {
    /// It is created without one, with a warning.
    Allow,
    /// It is not created: nothing shall reach the brokers unjudged that asked to be judged.
    Deny,
}

/// The answer.
#[derive(Debug, Clone)]
pub struct Answer {
    /// An AdmissionReview with a response.
    pub body: serde_json::Value,
    /// What it amounts to.
    pub outcome: ReviewOutcome,
    /// The pod, for the log.
    pub pod: String,
    /// Why there is no sidecar, or what should be known.
    pub message: Option<String>,
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no AdmissionReview of admission.k8s.io/v1: {0}")]
pub struct Unreviewable(String);

/// Answers the request in `bytes`.
///
/// # Errors
/// [`Unreviewable`]: it is none that could be answered.
pub fn review(
    bytes: &[u8],
    defaults: &Defaults,
    on_impossible: OnImpossible,
) -> Result<Answer, Unreviewable> {
    let review =
        bounded_json(bytes, MOST_VALUES).map_err(|error| Unreviewable(error.to_string()))?;
    let missing = |what: &str| Unreviewable(format!("{what} is missing"));
    let is = |key: &str, wanted: &str| review.text_at(key) == Some(wanted);
    if !is("apiVersion", API_VERSION) || !is("kind", KIND) {
        return Err(Unreviewable("apiVersion or kind is another".to_owned()));
    }
    let request = review.get("request").ok_or_else(|| missing("request"))?;
    let uid = request.text_at("uid").filter(|uid| !uid.is_empty() && uid.len() <= 256);
    let uid = uid.ok_or_else(|| missing("request.uid"))?;
    let pod = describe(request);
    let (outcome, response, message) = match decide(request, defaults) {
        Ok(Decision::NotAsked) => (ReviewOutcome::NotAsked, json!({"allowed": true}), None),
        Ok(Decision::Pod { old, injected }) => patched(old, &injected),
        Err(why) => {
            let why = format!("schemaward: {why}");
            refused(&why, on_impossible)
        }
    };
    let mut response = response;
    response["uid"] = uid.into();
    let body = json!({"apiVersion": API_VERSION, "kind": KIND, "response": response});
    Ok(Answer { body, outcome, pod, message })
}

enum Decision<'r> {
    NotAsked,
    Pod { old: &'r Value, injected: Box<pod::Injected> },
}

/// Only pods that are being created can get a container, and only those that ask for it do.
fn decide<'r>(request: &'r Value, defaults: &Defaults) -> Result<Decision<'r>, String> {
    let is = |path: &[&str], wanted: &str| {
        request.at(path).and_then(Value::as_text).unwrap_or_default() == wanted
    };
    let pod = is(&["kind", "group"], "")
        && is(&["kind", "version"], "v1")
        && is(&["kind", "kind"], "Pod");
    if !pod || !is(&["operation"], "CREATE") || !is(&["subResource"], "") {
        return Ok(Decision::NotAsked);
    }
    let Some(old @ Value::Map(_)) = request.get("object") else {
        return Ok(Decision::NotAsked);
    };
    let metadata = old.get("metadata").unwrap_or(&Value::Null);
    let wishes = Wishes::read(&[metadata]).map_err(|error| error.to_string())?;
    if wishes.inject != Some(true) {
        return Ok(Decision::NotAsked);
    }
    let injected = pod::inject(old, &wishes, defaults, "pod").map_err(|error| error.to_string())?;
    let mut injected = Box::new(injected);
    injected.warnings.extend(wishes.unknown.iter().map(|key| format!("{key} is no annotation")));
    Ok(Decision::Pod { old, injected })
}

type Decided = (ReviewOutcome, serde_json::Value, Option<String>);

fn patched(old: &Value, injected: &pod::Injected) -> Decided {
    let operations = difference(old, &injected.pod);
    let mut response = json!({"allowed": true});
    let warnings = injected.warnings.iter().take(MOST_WARNINGS);
    let warnings: Vec<_> = warnings.map(|it| warning(it)).collect();
    if !warnings.is_empty() {
        response["warnings"] = warnings.into();
    }
    if operations.is_empty() {
        return (ReviewOutcome::Unchanged, response, None);
    }
    match serde_json::to_vec(&operations) {
        Ok(patch) => {
            response["patchType"] = "JSONPatch".into();
            response["patch"] = STANDARD.encode(patch).into();
            (ReviewOutcome::Injected, response, None)
        }
        // Values that were read as JSON can be written as JSON.
        Err(error) => refused(&error.to_string(), OnImpossible::Deny),
    }
}

fn refused(why: &str, on_impossible: OnImpossible) -> Decided {
    // Names that the pod brings along may be as long as the pod.
    let why: String = why.chars().take(MOST_OF_A_MESSAGE).collect();
    match on_impossible {
        OnImpossible::Allow => {
            let text = warning(&format!("{why}; the pod is created without it"));
            let response = json!({"allowed": true, "warnings": [text]});
            (ReviewOutcome::AllowedWithout, response, Some(why))
        }
        OnImpossible::Deny => {
            let status = json!({"code": 422, "reason": "Invalid", "message": why});
            let response = json!({"allowed": false, "status": status});
            (ReviewOutcome::Denied, response, Some(why))
        }
    }
}

/// The API server cuts warnings that are longer than 256 characters.
fn warning(text: &str) -> String {
    let text = if text.starts_with("schemaward") {
        text.to_owned()
    } else {
        format!("schemaward: {text}")
    };
    match text.char_indices().nth(MOST_OF_A_WARNING) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text,
    }
}

fn describe(request: &Value) -> String {
    let text =
        |path: &[&str]| request.at(path).and_then(Value::as_text).filter(|it| !it.is_empty());
    let name = text(&["name"])
        .or_else(|| text(&["object", "metadata", "name"]))
        .or_else(|| text(&["object", "metadata", "generateName"]));
    let namespace = text(&["namespace"]).unwrap_or_default();
    shown(format!("{namespace}/{}", name.unwrap_or_default()).as_bytes())
}

const API_VERSION: &str = "admission.k8s.io/v1";
const KIND: &str = "AdmissionReview";
/// Values of one review: a pod has some hundred; what is written about it by the API server is as much again.
const MOST_VALUES: usize = 100_000;
/// Warnings of one answer.
const MOST_WARNINGS: usize = 16;
/// Characters of a message.
const MOST_OF_A_MESSAGE: usize = 1024;
/// Characters of a warning.
const MOST_OF_A_WARNING: usize = 240;
