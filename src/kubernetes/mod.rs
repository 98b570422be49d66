//! Kubernetes: the sidecar put into manifests and into pods that are being created.
//!
//! Everything but the server in `webhook.rs` is pure: values in, values out. Nothing here asks the cluster.

mod agreement;
mod documents;
mod error;
mod inject;
mod patch;
mod pod;
mod review;
mod sidecar;
mod value;
mod variable;
mod webhook;
mod wishes;

pub use self::{
    documents::{Format, Unreadable, read, write},
    error::Impossible,
    inject::{Outcome, inject},
    patch::{Operation, difference},
    pod::{Configuration, ConfigurationFile, Defaults, Present},
    review::{Answer, OnImpossible, Unreviewable, review},
    value::Value,
    webhook::{Webhook, WebhookError, WebhookSettings},
    wishes::{SecretMount, Variable, object_name, secret, variables},
};
