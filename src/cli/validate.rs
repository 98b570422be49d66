//! `schemaward validate`: records from files against a schema, with the verdicts and the words of the proxy.

mod input;
mod report;

use std::{
    fs::File,
    io::{self, BufRead, BufReader, Read},
    path::{Path, PathBuf},
    sync::Arc,
};

use clap::{Args, ValueEnum};
use tokio::runtime::{Builder, Runtime};
use url::Url;

use self::{
    input::{Input, InputError, Records},
    report::{Report, ReportFormat},
};
use super::{Exit, complain};
use crate::{
    config::{Config, process_environment},
    limits::{RecordLimits, SchemaLimits},
    protobuf::UnknownFields,
    reason::Reason,
    schema::{
        CacheSettings, Documents, HttpSource, Referenced, References, RegistrySettings, Schema,
        SchemaCache, SchemaFormat, SchemaRef, SourceError, language,
    },
    validate::{
        claim::{Claim, Datum, MessageName, Notation, Written, unframe},
        convention::Convention,
        datum::{Terms, Words, check},
        metadata::Encoding,
        verdict::Rejection,
    },
};

/// Check records in files against their schema.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Validate {
    /// The schema: a file, a URL, or an id in the registry. Left out where --convention says that each record names its own
    #[arg(long, value_name = "FILE|URL|ID", required_unless_present = "convention")]
    schema: Option<String>,
    /// A file that the file of --schema refers to, by the name that it has there; each after those that it needs itself
    #[arg(long = "reference", value_name = "NAME=FILE")]
    references: Vec<String>,
    /// The message of a schema in Protocol Buffers, by its full name; the first one unless given
    #[arg(long, value_name = "NAME")]
    message: Option<String>,
    /// Let messages in Protocol Buffers have fields that the schema has not
    #[arg(long)]
    allow_unknown_fields: bool,
    /// Where schemas are: `registry` of this configuration file
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Where schemas are: the base URL of a registry with Confluent's API
    #[arg(long, value_name = "URL", conflicts_with = "config")]
    registry: Option<Url>,
    /// How records stand in the files
    #[arg(long, value_enum, default_value_t = Input::Raw)]
    input: Input,
    /// How a record is encoded; as is usual for the schema unless given (of json-lines: JSON)
    #[arg(long, value_enum)]
    encoding: Option<EncodingName>,
    /// What stands before each record and names its schema, as in a rule's `conventions`
    #[arg(long, value_name = "CONVENTION", value_parser = prefix, conflicts_with = "schema")]
    convention: Option<Convention>,
    /// What is written to standard output: a line for each rejected record, or a JSON object for every record
    #[arg(long, value_enum, default_value_t = ReportFormat::Text)]
    format: ReportFormat,
    /// Files of records; standard input where none is given, or for `-`
    #[arg(value_name = "RECORDS")]
    records: Vec<PathBuf>,
}

/// How a record is encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum EncodingName {
    /// Avro's binary encoding
    Avro,
    /// Avro's JSON encoding
    AvroJson,
    /// Plain JSON
    Json,
    /// Protocol Buffers
    Protobuf,
}

impl From<EncodingName> for Encoding {
    fn from(name: EncodingName) -> Self {
        match name {
            EncodingName::Avro => Self::Avro,
            EncodingName::AvroJson => Self::AvroJson,
            EncodingName::Json => Self::Json,
            EncodingName::Protobuf => Self::Protobuf,
        }
    }
}

/// A convention that stands before the value.
fn prefix(word: &str) -> Result<Convention, String> {
    let prefixes = || Convention::WORDS.into_iter().filter(|(_, it)| it.is_prefix());
    let found = prefixes().find(|(name, _)| *name == word);
    found.map(|(_, convention)| convention).ok_or_else(|| {
        let all: Vec<_> = prefixes().map(|(name, _)| name).collect();
        format!("must be one of {}", all.join(", "))
    })
}

/// Why records cannot be checked.
#[derive(Debug, thiserror::Error)]
enum ValidateError {
    #[error("{0}")]
    Usage(String),
    #[error("{path}")]
    File { path: String, source: io::Error },
    #[error("{path}")]
    Input { path: String, source: InputError },
    #[error("schema {shown}: {detail}")]
    Schema { shown: String, detail: String },
    #[error("standard output")]
    Output(#[source] io::Error),
    #[error("the runtime")]
    Runtime(#[source] io::Error),
}

impl Validate {
    pub(super) fn execute(self) -> Exit {
        match self.run() {
            Ok(0) => Exit::Clean,
            Ok(_) => Exit::RecordsRejected,
            Err(error) => {
                complain(&error);
                match error {
                    ValidateError::Usage(_) => Exit::Usage,
                    _ => Exit::Failure,
                }
            }
        }
    }

    /// How many records are rejected.
    fn run(&self) -> Result<u64, ValidateError> {
        let world = World::new(self)?;
        let schema = match &self.schema {
            Some(schema) => Some(world.schema(schema, &self.references)?),
            None => None,
        };
        let mut report = Report::new(self.format);
        let standard_input = [PathBuf::from("-")];
        let paths = if self.records.is_empty() { &standard_input[..] } else { &self.records };
        for path in paths {
            let shown = path.display().to_string();
            let input = |source| ValidateError::Input { path: shown.clone(), source };
            let from = open(path).map_err(|source| input(source.into()))?;
            let mut records = Records::new(self.input, from, world.record_limits.max_record_bytes);
            let mut index = 0;
            while let Some(record) = records.next().map_err(input)? {
                let judged = match &schema {
                    Some(schema) => self.judge(&world, schema, &record),
                    None => self.judge_framed(&world, &record)?,
                };
                report.add(&shown, index, judged.err()).map_err(ValidateError::Output)?;
                index += 1;
            }
        }
        report.finish().map_err(ValidateError::Output)
    }

    /// A record of the schema that was given.
    fn judge(&self, world: &World, schema: &Schema, record: &[u8]) -> Result<(), Rejection> {
        let encoding = self.encoding(schema);
        let message = self.message.as_deref().map(str::as_bytes);
        let message = message.map_or(MessageName::First, MessageName::Full);
        let written = Written { notation: Notation::Text, parts: [&[], &[], &[]] };
        let claim = Claim { written, encoding, message };
        check(schema, claim.form(), Datum::Plain(record), self.terms(world))
    }

    /// A record that names its schema itself.
    fn judge_framed(
        &self,
        world: &World,
        record: &[u8],
    ) -> Result<Result<(), Rejection>, ValidateError> {
        let Some(convention) = self.convention else { return Ok(Ok(())) };
        let (claim, datum) = match unframe(convention, record) {
            Ok(framed) => framed,
            Err(rejection) => return Ok(Err(rejection)),
        };
        let reference = match claim.written.reference(&world.references) {
            Ok(reference) => reference,
            Err(error) => {
                return Ok(Err(Rejection::new(Reason::MalformedSchemaId, error.to_string())));
            }
        };
        let schema = match world.look_up(&reference) {
            Ok(schema) => schema,
            Err(SourceError::NotFound { detail }) => {
                return Ok(Err(Rejection::new(Reason::SchemaNotFound, &*detail)));
            }
            Err(SourceError::Invalid { detail }) => {
                return Ok(Err(Rejection::new(Reason::SchemaInvalid, &*detail)));
            }
            Err(error) => {
                let (shown, detail) = (reference.shown(), error.to_string());
                return Err(ValidateError::Schema { shown, detail });
            }
        };
        Ok(check(&schema, claim.form(), datum, self.terms(world)))
    }

    const fn terms(&self, world: &World) -> Terms {
        let max_inflated_bytes = world.record_limits.max_record_bytes;
        let unknown_fields = match self.allow_unknown_fields {
            true => UnknownFields::Allow,
            false => UnknownFields::Reject,
        };
        Terms { words: Words::Wanted, unknown_fields, max_inflated_bytes }
    }

    fn encoding(&self, schema: &Schema) -> Encoding {
        match (self.encoding, self.input, schema.format()) {
            (Some(name), ..) => name.into(),
            (None, Input::JsonLines, SchemaFormat::Avro | SchemaFormat::Json) => Encoding::Json,
            _ => Encoding::OfSchema,
        }
    }
}

/// Where schemas come from, and what they and records may cost.
struct World {
    runtime: Runtime,
    references: References,
    schemas: Arc<SchemaCache>,
    schema_limits: SchemaLimits,
    record_limits: RecordLimits,
}

impl World {
    fn new(asked: &Validate) -> Result<Self, ValidateError> {
        let (mut registry, schema_limits, record_limits) = match &asked.config {
            Some(path) => {
                let config = Config::load(path, process_environment())
                    .map_err(|errors| ValidateError::Usage(errors.to_string()))?;
                (config.registry, config.schema_limits, config.record_limits)
            }
            None => (RegistrySettings::default(), SchemaLimits::default(), RecordLimits::default()),
        };
        registry.url = asked.registry.clone().or(registry.url);
        // Whoever names a URL on the command line means it.
        registry.allow.extend(asked.schema.as_deref().and_then(web_url));
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.map_err(ValidateError::Runtime)?;
        let references = References::new(&registry);
        let source =
            runtime.block_on(async { HttpSource::new(&registry, schema_limits, Arc::new(())) });
        let source = source.map_err(|error| ValidateError::Usage(error.to_string()))?;
        let _inside = runtime.enter();
        let schemas = SchemaCache::new(Arc::new(source), CacheSettings::default(), Arc::new(()));
        drop(_inside);
        Ok(Self { runtime, references, schemas, schema_limits, record_limits })
    }

    /// The schema that the command line names.
    fn schema(&self, named: &str, references: &[String]) -> Result<Arc<Schema>, ValidateError> {
        let is_id = named.bytes().all(|byte| byte.is_ascii_digit());
        let is_file = !is_id || Path::new(named).exists();
        if is_file && web_url(named).is_none() {
            return self.schema_file(Path::new(named), references);
        }
        if !references.is_empty() {
            return Err(ValidateError::Usage("--reference is for files".into()));
        }
        let schema_error = |detail: String| {
            let shown = crate::text::shown_reference(named.as_bytes());
            ValidateError::Schema { shown, detail }
        };
        let reference = self.references.parse(named.as_bytes());
        let reference = reference.map_err(|error| schema_error(error.to_string()))?;
        self.look_up(&reference).map_err(|error| schema_error(error.to_string()))
    }

    fn look_up(&self, reference: &SchemaRef) -> Result<Arc<Schema>, SourceError> {
        self.runtime.block_on(self.schemas.resolve(reference))
    }

    fn schema_file(
        &self,
        path: &Path,
        references: &[String],
    ) -> Result<Arc<Schema>, ValidateError> {
        let text = self.text(path)?;
        let format = language::of_document(&path.to_string_lossy(), None, &text);
        let referenced = references.iter().map(|given| {
            let named = given.split_once('=');
            let usage = || ValidateError::Usage(format!("--reference {given}: must be NAME=FILE"));
            let (name, path) = named.ok_or_else(usage)?;
            Ok(Referenced { name: name.to_owned(), text: self.text(Path::new(path))? })
        });
        let references = referenced.collect::<Result<_, ValidateError>>()?;
        let documents = Documents { format, text, references };
        let compiled = Schema::compile(&documents, &self.schema_limits);
        compiled.map(Arc::new).map_err(|fault| ValidateError::Schema {
            shown: path.display().to_string(),
            detail: fault.detail,
        })
    }

    fn text(&self, path: &Path) -> Result<String, ValidateError> {
        let most = u64::try_from(self.schema_limits.max_schema_bytes).unwrap_or(u64::MAX);
        let mut text = String::new();
        let read = File::open(path)
            .and_then(|file| file.take(most.saturating_add(1)).read_to_string(&mut text));
        read.map_err(|source| ValidateError::File { path: path.display().to_string(), source })?;
        Ok(text)
    }
}

fn web_url(text: &str) -> Option<Url> {
    Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https"))
}

fn open(path: &Path) -> io::Result<Box<dyn BufRead>> {
    if path == Path::new("-") {
        return Ok(Box::new(io::stdin().lock()));
    }
    Ok(Box::new(BufReader::new(File::open(path)?)))
}

const EXAMPLES: &str = "\
Examples:
  schemaward validate --schema users.avsc users.bin
  schemaward validate --schema users.avsc --input json-lines --format json < users.jsonl
  schemaward validate --schema 42 --registry http://localhost:8081 --input hex-lines records.hex
  schemaward validate --convention confluent_prefix --config schemaward.yaml --input base64-lines topic.b64";
