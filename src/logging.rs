//! Where log lines go: standard error, as text or JSON. Lines of libraries are held to warnings, for they may quote
//! what they were working on.

use std::{io, sync::OnceLock};

use tracing::level_filters::LevelFilter;
use tracing_subscriber::{
    Layer, Registry, filter::Targets, fmt, layer::SubscriberExt, reload, util::SubscriberInitExt,
};

/// What is logged, and how.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LogSettings {
    /// The least severe level that is written (`log.level`).
    pub level: LogLevel,
    /// `log.format`.
    pub format: LogFormat,
}

/// How severe a line must be to be written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum LogLevel {
    /// What stops the process or a part of it.
    Error,
    /// What an operator has to look at: rejections among it.
    Warn,
    /// What happens once: start, readiness, drain.
    #[default]
    Info,
    /// What happens for each connection.
    Debug,
    /// What happens for each request.
    Trace,
}

/// How a line is written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// One JSON object a line.
    Json,
    /// Text with `key=value` fields.
    #[default]
    Text,
}

/// Log lines already go elsewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("logging is set up already")]
pub struct LoggingError;

/// Sends the log lines of the whole process to standard error.
///
/// # Errors
/// If that was done before.
pub fn init(settings: &LogSettings) -> Result<(), LoggingError> {
    let (filter, level) = reload::Layer::new(filter(settings.level));
    let layer = lines(settings, io::stderr).with_filter(filter);
    let subscriber = tracing_subscriber::registry().with(layer);
    // This takes the lines of the `log` crate along, which some libraries write.
    subscriber.try_init().map_err(|_| LoggingError)?;
    LEVEL.set(level).map_err(|_| LoggingError)
}

/// Writes lines of at least `level` from now on, if [`init`] was called.
pub fn set_level(level: LogLevel) {
    if let Some(handle) = LEVEL.get() {
        // It fails where the subscriber is gone, which is there as long as the process.
        let _ = handle.reload(filter(level));
    }
}

/// The filter of the process' lines.
static LEVEL: OnceLock<reload::Handle<Targets, Registry>> = OnceLock::new();

/// The layer that writes lines by `settings` to what `writer` makes.
pub fn layer<W>(settings: &LogSettings, writer: W) -> Box<dyn Layer<Registry> + Send + Sync>
where
    W: for<'w> fmt::MakeWriter<'w> + Send + Sync + 'static,
{
    lines(settings, writer).with_filter(filter(settings.level)).boxed()
}

fn lines<W>(settings: &LogSettings, writer: W) -> Box<dyn Layer<Registry> + Send + Sync>
where
    W: for<'w> fmt::MakeWriter<'w> + Send + Sync + 'static,
{
    let lines = fmt::layer().with_writer(writer).with_ansi(false);
    match settings.format {
        LogFormat::Json => lines.json().flatten_event(true).boxed(),
        LogFormat::Text => lines.boxed(),
    }
}

fn filter(level: LogLevel) -> Targets {
    let own = match level {
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Trace => LevelFilter::TRACE,
    };
    Targets::new().with_default(own.min(LevelFilter::WARN)).with_target(OWN_TARGET, own)
}

/// The module path that our own lines begin with.
const OWN_TARGET: &str = "schemaward";

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn written(settings: &LogSettings) -> String {
        let lines = Lines::default();
        let made = lines.clone();
        let subscriber = tracing_subscriber::registry().with(layer(settings, move || made.clone()));
        tracing::subscriber::with_default(subscriber, || {
            tracing::info!(topic = "orders", "own line");
            tracing::debug!("own detail");
            tracing::info!(target: "hyper", "foreign line");
            tracing::warn!(target: "hyper", "foreign warning");
        });
        let bytes = lines.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn lines_of_libraries_are_held_to_warnings() {
        let text = written(&LogSettings { level: LogLevel::Trace, format: LogFormat::Text });
        assert!(text.contains("own line topic=\"orders\""), "{text}");
        assert!(text.contains("own detail"), "{text}");
        assert!(text.contains("foreign warning"), "{text}");
        assert!(!text.contains("foreign line"), "{text}");
    }

    #[test]
    fn lines_below_the_level_are_left_out() {
        let text = written(&LogSettings::default());
        assert!(text.contains("own line"));
        assert!(!text.contains("own detail"));
        let errors = LogSettings { level: LogLevel::Error, ..LogSettings::default() };
        assert_eq!(written(&errors), "");
    }

    #[test]
    fn json_lines_are_objects_with_the_fields() {
        let text = written(&LogSettings { format: LogFormat::Json, ..LogSettings::default() });
        let first = text.lines().next().unwrap();
        let line: serde_json::Value = serde_json::from_str(first).unwrap();
        assert_eq!(line["message"], "own line");
        assert_eq!(line["topic"], "orders");
        assert_eq!(line["level"], "INFO");
    }
}
