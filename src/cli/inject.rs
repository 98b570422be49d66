//! `schemaward inject`: a filter that adds the sidecar to manifests.

use std::{
    fs::File,
    io::{self, Read, Write},
    net::SocketAddr,
    path::{Path, PathBuf},
};

use clap::Args;

use super::{Exit, complain};
use crate::kubernetes::{
    self, Configuration, ConfigurationFile, Defaults, Format, Present, SecretMount, Value, Variable,
};

/// Add the sidecar to Kubernetes manifests, from standard input or files to standard output.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLE)]
pub(super) struct Inject {
    /// Manifests in YAML or JSON; without one, or for -, standard input
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,
    /// The sidecar's configuration: it is checked, and printed as a ConfigMap
    #[arg(long, value_name = "FILE", required_unless_present = "config_map")]
    config: Option<PathBuf>,
    /// The ConfigMap that holds it already; with --config, the name of the one that is printed
    #[arg(long, value_name = "NAME", value_parser = object_name)]
    config_map: Option<String>,
    #[command(flatten)]
    sidecar: SidecarArgs,
}

/// What sidecars have, where annotations do not say otherwise.
#[derive(Debug, Args)]
pub(super) struct SidecarArgs {
    /// The image of the sidecar
    #[arg(long, value_name = "IMAGE", default_value = DEFAULT_IMAGE)]
    image: String,
    /// The variables that name the brokers: NAME or CONTAINER/NAME, several with commas
    #[arg(long, value_name = "VARIABLE", value_parser = variables)]
    bootstrap_env: Option<Variables>,
    /// A Secret to mount into the sidecar, perhaps with the folder; may be given several times
    #[arg(long, value_name = "NAME[=FOLDER]", value_parser = secret)]
    secret: Vec<SecretMount>,
    /// Where kubelet and Prometheus find the sidecar, unless its configuration says it
    #[arg(long, value_name = "ADDRESS", default_value = "0.0.0.0:9465")]
    sidecar_probes_listen: SocketAddr,
}

/// Variables of one argument.
#[derive(Debug, Clone)]
struct Variables(Vec<Variable>);

impl SidecarArgs {
    pub(super) fn defaults(self, configuration: Configuration, present: Present) -> Defaults {
        Defaults {
            image: self.image,
            configuration,
            bootstrap: self.bootstrap_env.map(|Variables(variables)| variables),
            secrets: self.secret,
            probes_listen: self.sidecar_probes_listen,
            present,
        }
    }
}

impl Inject {
    pub(super) fn execute(self) -> Exit {
        let configuration = match self.configuration() {
            Ok(configuration) => configuration,
            Err(error) => return failed(&error),
        };
        let (documents, format) = match manifests(&self.files) {
            Ok(manifests) => manifests,
            Err(error) => return failed(&error),
        };
        let defaults = self.sidecar.defaults(configuration, Present::Renew);
        let outcome = kubernetes::inject(documents, &defaults);
        for note in &outcome.notes {
            eprintln!("schemaward: note: {note}");
        }
        if !outcome.errors.is_empty() {
            // Nothing is printed: what comes next would take a part for the whole.
            outcome.errors.iter().for_each(|error| eprintln!("schemaward: {error}"));
            return Exit::Usage;
        }
        if outcome.injected == 0 {
            eprintln!("schemaward: note: nothing was injected");
        }
        let written = kubernetes::write(&outcome.documents, format);
        let text = match written {
            Ok(text) => text,
            Err(error) => return failed(&Trouble::Manifest("the result".to_owned(), error)),
        };
        match io::stdout().write_all(text.as_bytes()) {
            Ok(()) => Exit::Clean,
            Err(error) => failed(&Trouble::System("standard output".to_owned(), error)),
        }
    }

    fn configuration(&self) -> Result<Configuration, Trouble> {
        let Some(path) = &self.config else {
            return Ok(Configuration::ConfigMap(self.config_map.clone()));
        };
        let name = path.display().to_string();
        let text =
            text(File::open(path).map_err(|error| Trouble::System(name.clone(), error))?, &name)?;
        Ok(Configuration::File(ConfigurationFile {
            name,
            text,
            config_map: self.config_map.clone(),
        }))
    }
}

/// Why there is no result.
#[derive(Debug, thiserror::Error)]
enum Trouble {
    #[error("{0}")]
    Manifest(String, #[source] kubernetes::Unreadable),
    #[error("{0} is larger than {MAX_BYTES} bytes")]
    Size(String),
    #[error("{0}")]
    System(String, #[source] io::Error),
}

fn failed(trouble: &Trouble) -> Exit {
    complain(trouble);
    match trouble {
        Trouble::System(..) => Exit::Failure,
        Trouble::Manifest(..) | Trouble::Size(_) => Exit::Usage,
    }
}

/// All documents, and the format of the first text.
fn manifests(files: &[PathBuf]) -> Result<(Vec<Value>, Format), Trouble> {
    let standard = [PathBuf::from("-")];
    let files = if files.is_empty() { &standard } else { files };
    let mut documents = Vec::new();
    let mut format = None;
    for file in files {
        let (name, text) = read(file)?;
        let (more, its) =
            kubernetes::read(&text).map_err(|error| Trouble::Manifest(name, error))?;
        documents.extend(more);
        format = format.or(Some(its));
    }
    Ok((documents, format.unwrap_or(Format::Yaml)))
}

fn read(path: &Path) -> Result<(String, String), Trouble> {
    if path.as_os_str() == "-" {
        let name = "standard input".to_owned();
        let text = text(io::stdin().lock(), &name)?;
        return Ok((name, text));
    }
    let name = path.display().to_string();
    let file = File::open(path).map_err(|error| Trouble::System(name.clone(), error))?;
    let text = text(file, &name)?;
    Ok((name, text))
}

fn text(from: impl Read, name: &str) -> Result<String, Trouble> {
    let mut text = String::new();
    let trouble = |error| Trouble::System(name.to_owned(), error);
    from.take(MAX_BYTES + 1).read_to_string(&mut text).map_err(trouble)?;
    if text.len() as u64 > MAX_BYTES {
        return Err(Trouble::Size(name.to_owned()));
    }
    Ok(text)
}

pub(super) fn object_name(text: &str) -> Result<String, String> {
    kubernetes::object_name(text).ok_or_else(|| "is no name of an object".to_owned())
}

fn variables(text: &str) -> Result<Variables, String> {
    let parsed = kubernetes::variables(text).map(Variables);
    parsed.ok_or_else(|| "must be NAME, CONTAINER/NAME, or several with commas".to_owned())
}

fn secret(text: &str) -> Result<SecretMount, String> {
    kubernetes::secret(text).ok_or_else(|| "must be NAME or NAME=/folder".to_owned())
}

/// What is read at most of one text.
const MAX_BYTES: u64 = 32 * 1024 * 1024;
const DEFAULT_IMAGE: &str = concat!("schemaward:", env!("CARGO_PKG_VERSION"));
const EXAMPLE: &str = "\
Example:
  kubectl get deploy app -o yaml \\
    | schemaward inject --config schemaward.yaml --bootstrap-env KAFKA_BOOTSTRAP_SERVERS \\
    | kubectl apply -f -";
