//! Why a pod cannot get the sidecar that it asks for.

use std::net::SocketAddr;

use crate::config::ConfigErrors;

/// What cannot be done, in a sentence that says what to change. Nothing of the pod has been changed then.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Impossible {
    /// An annotation does not say what it must.
    #[error("annotation {key}: must be {wanted}, found \"{found}\"")]
    Annotation {
        /// The annotation.
        key: String,
        /// What it may say.
        wanted: &'static str,
        /// What it says.
        found: String,
    },
    /// A part of the pod is not what Kubernetes has it to be.
    #[error("{path} is not {wanted}")]
    Shape {
        /// Where.
        path: String,
        /// What should stand there.
        wanted: &'static str,
    },
    /// Nobody says which ConfigMap holds the configuration.
    #[error("no ConfigMap is named: set the annotation {annotation}")]
    NoConfigMap {
        /// What would name it.
        annotation: &'static str,
    },
    /// Nobody says which variable names the brokers.
    #[error(
        "no variable is named that leads to the brokers: set the annotation {annotation} to its name ({hint}), or to \"\" \
         where the application is told otherwise"
    )]
    NoVariable {
        /// What would name it.
        annotation: &'static str,
        /// Variables that look like it.
        hint: String,
    },
    /// The variable that is named is nowhere.
    #[error("no container has the variable {variable} ({hint})")]
    VariableNotFound {
        /// The variable, perhaps with its container.
        variable: String,
        /// Variables that look like it.
        hint: String,
    },
    /// A container that is named is not there.
    #[error("{variable}: there is no container {container}")]
    ContainerNotFound {
        /// The variable with its container.
        variable: String,
        /// The container.
        container: String,
    },
    /// Where the variable gets its value from cannot be said.
    #[error(
        "{variable} of container {container}: {why}; where upstream.bootstrap of the configuration names the brokers, set \
         the annotation {annotation} to \"config\""
    )]
    UnknownOrigin {
        /// The variable.
        variable: String,
        /// Its container.
        container: String,
        /// What is in the way.
        why: String,
        /// What helps.
        annotation: &'static str,
    },
    /// Containers name different brokers, and a sidecar leads to one cluster.
    #[error(
        "{one} and {other} name different brokers: name the one that shall use the sidecar as container/VARIABLE"
    )]
    DifferentBrokers {
        /// A variable and its container.
        one: String,
        /// Another.
        other: String,
    },
    /// A port of the sidecar is one of the application's.
    #[error("port {port} of the sidecar ({use_of}) is taken by container {container}: {cure}")]
    PortTaken {
        /// The port.
        port: u16,
        /// What the sidecar needs it for.
        use_of: &'static str,
        /// Who has it.
        container: String,
        /// What can be done.
        cure: &'static str,
    },
    /// Something that is not ours has the name that ours must have.
    #[error("there is {what} called {name} that was not injected: remove or rename it")]
    NameTaken {
        /// What.
        what: &'static str,
        /// Its name.
        name: String,
    },
    /// The pod shares the network of its node.
    #[error("the pod has hostNetwork: the sidecar's ports would be those of the node")]
    HostNetwork,
    /// The pod is one for Windows.
    #[error("the pod is for Windows, and the sidecar for Linux")]
    Windows,
    /// The application could not reach what the configuration says.
    #[error("listen.bootstrap {address} is not to be reached by the application: {why}")]
    Listener {
        /// Where the sidecar would listen.
        address: SocketAddr,
        /// Why not.
        why: &'static str,
    },
    /// The configuration is not sound, or does not fit what the pod asks for.
    #[error("{}", one_line(.0))]
    Configuration(ConfigErrors),
}

fn one_line(errors: &ConfigErrors) -> String {
    errors.iter().take(MOST_MISTAKES).map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

/// Mistakes of a configuration that are told at once.
const MOST_MISTAKES: usize = 20;
