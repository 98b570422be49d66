//! `schemaward webhook`: the Kubernetes admission webhook.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use clap::{Args, ValueEnum};

use super::{
    Exit, complain,
    inject::{SidecarArgs, object_name},
    log_args::LogArgs,
    serving,
};
use crate::{
    kubernetes::{self, Configuration, OnImpossible, Present, WebhookError, WebhookSettings},
    logging,
    tls::{IdentityFiles, ServerTlsSettings},
};

/// Serve the Kubernetes admission webhook that adds the sidecar to pods, until it is told to stop.
#[derive(Debug, Args)]
pub(super) struct Webhook {
    /// Where the API server finds it, under TLS
    #[arg(long, value_name = "ADDRESS", default_value = "0.0.0.0:8443")]
    listen: SocketAddr,
    /// Certificate (PEM); may be replaced at any time
    #[arg(long, value_name = "FILE")]
    tls_certificate: PathBuf,
    /// Key (PEM) of that certificate
    #[arg(long, value_name = "FILE")]
    tls_key: PathBuf,
    /// Authority (PEM) that signs the API server's certificate, where it has to show one
    #[arg(long, value_name = "FILE")]
    tls_client_ca: Option<PathBuf>,
    /// Where kubelet and Prometheus find it, in the clear: /livez, /readyz and /metrics
    #[arg(long, value_name = "ADDRESS")]
    probes_listen: Option<SocketAddr>,
    /// The ConfigMap, in the namespace of the pod, that holds the sidecar's configuration
    #[arg(long, value_name = "NAME", default_value = "schemaward", value_parser = object_name)]
    config_map: String,
    #[command(flatten)]
    sidecar: SidecarArgs,
    /// What becomes of a pod that asks for a sidecar and cannot get one
    #[arg(long, value_enum, default_value_t = Impossible::Deny)]
    on_impossible: Impossible,
    /// Seconds for which requests are still taken after it was told to stop
    #[arg(long, value_name = "SECONDS", default_value_t = 5)]
    drain_delay: u64,
    /// Seconds for requests that are under way then
    #[arg(long, value_name = "SECONDS", default_value_t = 10)]
    grace: u64,
    #[command(flatten)]
    log: LogArgs,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Impossible {
    /// It is created without one, with a warning
    Allow,
    /// It is not created
    Deny,
}

impl Webhook {
    pub(super) fn execute(self) -> Exit {
        if let Err(error) = logging::init(&self.log.settings()) {
            complain(&error);
        }
        let settings = self.settings();
        serving::serve(
            async |stop| kubernetes::Webhook::bind(settings).await?.serve(stop).await,
            |error| matches!(error, WebhookError::GraceExceeded { .. }),
        )
    }

    fn settings(self) -> WebhookSettings {
        let configuration = Configuration::ConfigMap(Some(self.config_map));
        let identity = IdentityFiles { certificate: self.tls_certificate, key: self.tls_key };
        WebhookSettings {
            listen: self.listen,
            tls: ServerTlsSettings { identity, client_ca: self.tls_client_ca },
            probes_listen: self.probes_listen,
            defaults: self.sidecar.defaults(configuration, Present::Keep),
            on_impossible: match self.on_impossible {
                Impossible::Allow => OnImpossible::Allow,
                Impossible::Deny => OnImpossible::Deny,
            },
            drain_delay: Duration::from_secs(self.drain_delay),
            grace: Duration::from_secs(self.grace),
        }
    }
}
