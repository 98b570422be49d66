//! Single values: sizes, durations, addresses, ranges, words; how they are written and how they are shown.

use std::{
    fmt::Display,
    net::{IpAddr, Ipv6Addr, SocketAddr},
    ops::RangeInclusive,
    path::PathBuf,
    str::FromStr,
    time::Duration,
};

use url::Url;

use super::{
    kind::{Form, Kind, Shape},
    node::Value,
    redact::redacted,
    section::wanted,
};
use crate::{
    limits::{KIB, MIB},
    proxy::{advertised_host::AdvertisedHost, settings::BrokerAddress},
    schema::Template,
    text::{shown, shown_reference},
    wire::NodeId,
};

const GIB: usize = 1024 * MIB;
const SIZE_UNITS: [(&str, usize); 4] = [("GiB", GIB), ("MiB", MIB), ("KiB", KIB), ("B", 1)];
/// Milliseconds of each unit; `ms` before `s` and `m`, which it ends or begins with.
const TIME_UNITS: [(&str, u64); 5] =
    [("ms", 1), ("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000)];

/// Text that is not empty.
pub(super) fn text() -> Kind<impl Fn(&Value) -> Result<String, String>> {
    Kind::new(Shape::Text(Form { what: "text", pattern: r"\S" }), read_text)
}

/// The same for the path of a file or folder.
pub(super) fn path() -> Kind<impl Fn(&Value) -> Result<PathBuf, String>> {
    let shape = Shape::Text(Form { what: "a path", pattern: r"\S" });
    Kind::new(shape, |value| read_text(value).map(PathBuf::from))
}

fn read_text(value: &Value) -> Result<String, String> {
    match value {
        Value::Text(text) if !text.trim().is_empty() => Ok(text.clone()),
        Value::Bool(_) | Value::Integer(_) | Value::Float(_) => {
            Err(format!("{}: put it in quotes", wanted("text", value)))
        }
        other => Err(wanted("text", other)),
    }
}

/// true or false.
pub(super) fn boolean() -> Kind<impl Fn(&Value) -> Result<bool, String>> {
    Kind::new(Shape::Bool, |value| match value {
        Value::Bool(value) => Ok(*value),
        other => Err(wanted("true or false", other)),
    })
}

/// A whole number within `range`.
pub(super) fn integer<T>(range: RangeInclusive<T>) -> Kind<impl Fn(&Value) -> Result<T, String>>
where
    T: TryFrom<i128> + TryInto<i128> + PartialOrd + Display + Copy,
{
    let number = |end: &T| (*end).try_into().unwrap_or_default();
    let shape = Shape::Integer { least: number(range.start()), most: number(range.end()) };
    Kind::new(shape, move |value| {
        let what = format!("a whole number from {} to {}", range.start(), range.end());
        let Value::Integer(number) = value else { return Err(wanted(&what, value)) };
        let number = T::try_from(*number).ok().filter(|number| range.contains(number));
        number.ok_or_else(|| wanted(&what, value))
    })
}

/// A size in bytes within `range`: a number, or one with a unit such as `16MiB`.
pub(super) fn size(range: RangeInclusive<usize>) -> Kind<impl Fn(&Value) -> Result<usize, String>> {
    let shape = Shape::Size { least: *range.start(), most: *range.end() };
    Kind::new(shape, move |value| {
        let (least, most) = (show_size(*range.start()), show_size(*range.end()));
        let what = format!("a size from {least} to {most}, such as 16MiB");
        let bytes = match value {
            Value::Integer(bytes) => usize::try_from(*bytes).ok(),
            Value::Text(text) => parse_size(text),
            _ => None,
        };
        bytes.filter(|bytes| range.contains(bytes)).ok_or_else(|| wanted(&what, value))
    })
}

fn parse_size(text: &str) -> Option<usize> {
    let with = |(unit, bytes): &(&str, usize)| {
        let number = digits::<usize>(text.strip_suffix(unit)?.trim_end())?;
        number.checked_mul(*bytes)
    };
    SIZE_UNITS.iter().find_map(with).or_else(|| digits(text))
}

/// A size as it is written in a configuration.
pub(super) fn show_size(bytes: usize) -> String {
    let whole =
        |(_, unit): &&(&str, usize)| *unit > 1 && bytes >= *unit && bytes.is_multiple_of(*unit);
    match SIZE_UNITS.iter().find(whole) {
        Some((name, unit)) => format!("{}{name}", bytes / unit),
        None => bytes.to_string(),
    }
}

/// A duration within `range`, such as `300ms`, `5s`, `2m`, `1h` or `1d`.
pub(super) fn duration(
    range: RangeInclusive<Duration>,
) -> Kind<impl Fn(&Value) -> Result<Duration, String>> {
    let shape = Shape::Duration { least: *range.start(), most: *range.end() };
    Kind::new(shape, move |value| {
        let (least, most) = (show_duration(*range.start()), show_duration(*range.end()));
        let what = format!("a duration from {least} to {most}, such as 300ms, 5s or 2m");
        let parsed = match value {
            Value::Text(text) => parse_duration(text),
            Value::Integer(0) => Some(Duration::ZERO),
            _ => None,
        };
        parsed.filter(|duration| range.contains(duration)).ok_or_else(|| wanted(&what, value))
    })
}

/// What a duration written as in a configuration is.
#[must_use]
pub fn parse_duration(text: &str) -> Option<Duration> {
    let with = |(unit, millis): &(&str, u64)| {
        let number = digits::<u64>(text.strip_suffix(unit)?.trim_end())?;
        number.checked_mul(*millis).map(Duration::from_millis)
    };
    TIME_UNITS.iter().find_map(with)
}

/// A duration as it is written in a configuration.
pub(super) fn show_duration(duration: Duration) -> String {
    let millis = duration.as_millis();
    let whole = |(name, unit): &&(&str, u64)| {
        *name != "ms" && millis >= u128::from(*unit) && millis.is_multiple_of(u128::from(*unit))
    };
    match TIME_UNITS.iter().find(whole) {
        Some((name, unit)) => format!("{}{name}", millis / u128::from(*unit)),
        None if millis == 0 => "0s".into(),
        None => format!("{millis}ms"),
    }
}

/// Nothing but digits: no sign, no blanks.
fn digits<T: FromStr>(text: &str) -> Option<T> {
    (!text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()))
        .then(|| text.parse().ok())
        .flatten()
}

/// Two numbers of a range, `9100-9199`, or one number alone; at most `most`.
pub(super) fn range<T>(
    what: &'static str,
    most: T,
) -> Kind<impl Fn(&Value) -> Result<RangeInclusive<T>, String>>
where
    T: FromStr + TryFrom<i128> + Into<i128> + PartialOrd + Copy,
{
    Kind::new(Shape::Range { what, most: most.into() }, move |value| {
        let parsed = match value {
            Value::Integer(number) => T::try_from(*number).ok().map(|number| number..=number),
            Value::Text(text) => parse_range(text),
            _ => None,
        };
        let ascending = parsed.filter(|range| range.start() <= range.end());
        ascending.ok_or_else(|| wanted(what, value))
    })
}

fn parse_range<T: FromStr + Copy>(text: &str) -> Option<RangeInclusive<T>> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    Some(digits::<T>(first.trim())?..=digits::<T>(last.trim())?)
}

/// An IP address and a port to listen at.
pub(super) fn socket_address() -> Kind<impl Fn(&Value) -> Result<SocketAddr, String>> {
    const FORM: Form = Form {
        what: "an IP address and a port",
        pattern: r"^([0-9.]+|\[[0-9A-Fa-f:.%]+\]):[0-9]+$",
    };
    Kind::new(Shape::Text(FORM), read_socket_address)
}

fn read_socket_address(value: &Value) -> Result<SocketAddr, String> {
    const WHAT: &str = "an IP address and a port, such as 127.0.0.1:9092 or \"[::1]:9092\"";
    match value {
        Value::Text(text) => text.parse().map_err(|_| wanted(WHAT, value)),
        other => Err(wanted(WHAT, other)),
    }
}

/// Several of [`broker_address`] in one text.
pub(super) const BROKER_ADDRESSES: Form = Form {
    what: "host:port, or several with commas between them",
    pattern: r"^[\s,]*(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9_.-]{1,253}):[0-9]+(\s*,[\s,]*(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9_.-]{1,253}):[0-9]+)*[\s,]*$",
};

/// A host and a port to connect to; IPv6 addresses in brackets.
pub(super) fn broker_address() -> Kind<impl Fn(&Value) -> Result<BrokerAddress, String>> {
    const FORM: Form =
        Form { what: "host:port", pattern: r"^(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9_.-]{1,253}):[0-9]+$" };
    Kind::new(Shape::Text(FORM), read_broker_address)
}

fn read_broker_address(value: &Value) -> Result<BrokerAddress, String> {
    const WHAT: &str = "host:port, such as kafka-0.kafka.svc:9092";
    let parsed = match value {
        Value::Text(text) => parse_broker_address(text),
        _ => None,
    };
    parsed.ok_or_else(|| wanted(WHAT, value))
}

fn parse_broker_address(text: &str) -> Option<BrokerAddress> {
    let (host, port) = text.rsplit_once(':')?;
    let port = digits::<u16>(port).filter(|port| *port > 0)?;
    let host = match host.strip_prefix('[') {
        Some(rest) => rest.strip_suffix(']')?.parse::<Ipv6Addr>().ok()?.to_string(),
        None => host_name(host)?.to_owned(),
    };
    Some(BrokerAddress { host, port })
}

/// A host that clients can be told: a name, an IP address, or a template of names.
pub(super) fn advertised_host() -> Kind<impl Fn(&Value) -> Result<AdvertisedHost, String>> {
    const FORM: Form = Form {
        what: "a host name, an address or a template",
        pattern: r"^(\[[0-9A-Fa-f:.]+\]|[0-9A-Fa-f]*:[0-9A-Fa-f:.]*|([A-Za-z0-9_.-]|\{node_id\})+)$",
    };
    Kind::new(Shape::Text(FORM), read_advertised_host)
}

fn read_advertised_host(value: &Value) -> Result<AdvertisedHost, String> {
    const WHAT: &str = "a host name or address without a port, or a template such as broker-{node_id}.kafka.example.com";
    let Value::Text(text) = value else { return Err(wanted(WHAT, value)) };
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    let plain = match bare.parse::<IpAddr>() {
        Ok(address) if address.is_unspecified() => {
            return Err(format!("clients cannot be told {address}, which is no single host"));
        }
        Ok(address) => address.to_string(),
        Err(_) => text.clone(),
    };
    let host = AdvertisedHost::parse(&plain);
    // The longest node id must fit too.
    let legal = |host: &AdvertisedHost| {
        let longest = host.of(NodeId(i32::MAX));
        plain.parse::<IpAddr>().is_ok() || host_name(&longest).is_some()
    };
    host.filter(legal).ok_or_else(|| wanted(WHAT, value))
}

fn host_name(text: &str) -> Option<&str> {
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    (!text.is_empty() && text.len() <= 253 && text.bytes().all(legal)).then_some(text)
}

/// The base URL of a registry.
pub(super) fn base_url() -> Kind<impl Fn(&Value) -> Result<Url, String>> {
    const FORM: Form = Form {
        what: "an http or https URL",
        pattern: r"^\s*[Hh][Tt][Tt][Pp][Ss]?:[/\\]*[^/\\?#@]+([/\\][^?#]*)?$",
    };
    Kind::new(Shape::Text(FORM), read_base_url)
}

fn read_base_url(value: &Value) -> Result<Url, String> {
    let url = http_url(value)?;
    match url.host_str() {
        Some(host) if host.contains('*') => {
            Err(format!("must name one host, found \"{}\"", shown(host.as_bytes())))
        }
        _ => Ok(url),
    }
}

/// A URL without what could be secret or would be lost.
fn http_url(value: &Value) -> Result<Url, String> {
    const WHAT: &str = "an http or https URL with a host, such as http://schema-registry.svc:8081";
    let Value::Text(text) = value else { return Err(wanted(WHAT, value)) };
    let found = shown_reference(text.as_bytes());
    let url = Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
    let url =
        url.filter(Url::has_host).ok_or_else(|| format!("must be {WHAT}, found \"{found}\""))?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err(format!("must not hold a user name or password: {found}"));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(format!("must not have a query or a fragment: {found}"));
    }
    Ok(url)
}

/// An origin: scheme, host and port. `*.` in front of a host stands for every name below it.
pub(super) fn origin() -> Kind<impl Fn(&Value) -> Result<Url, String>> {
    const FORM: Form = Form {
        what: "an origin: scheme, host and port",
        pattern: r"^\s*[Hh][Tt][Tt][Pp][Ss]?:[/\\]*[^/\\?#@]+[/\\]?\s*$",
    };
    Kind::new(Shape::Text(FORM), read_origin)
}

fn read_origin(value: &Value) -> Result<Url, String> {
    let url = http_url(value)?;
    if url.path() != "/" {
        return Err(format!(
            "must be an origin (scheme, host and port) without the path {}",
            url.path()
        ));
    }
    let host = url.host_str().unwrap_or_default();
    let below = host.strip_prefix("*.").unwrap_or(host);
    let too_wide = below.len() < host.len() && !below.trim_end_matches('.').contains('.');
    if below.contains('*') || too_wide {
        return Err(format!(
            "may have a * only as the first label of a host with two labels or more behind it, such as https://*.example.com, found \"{}\"",
            shown(host.as_bytes())
        ));
    }
    Ok(url)
}

/// A path with a place for what a record names.
pub(super) fn template() -> Kind<impl Fn(&Value) -> Result<Template, String>> {
    const FORM: Form =
        Form { what: "a path with a placeholder", pattern: r"\{(id|guid|guid_hex|fingerprint)\}" };
    Kind::new(Shape::Text(FORM), read_template)
}

fn read_template(value: &Value) -> Result<Template, String> {
    const WHAT: &str =
        "a path with one of {id}, {guid}, {guid_hex} and {fingerprint} in it, such as /by-id/{id}";
    let template = Template::parse(&read_text(value)?);
    template.ok_or_else(|| wanted(WHAT, value))
}

/// A topic name, or a glob with `*` and `?`.
pub(super) fn topic_pattern() -> Kind<impl Fn(&Value) -> Result<String, String>> {
    const FORM: Form =
        Form { what: "a topic name or a glob", pattern: r"^[A-Za-z0-9._*?-]{1,249}$" };
    Kind::new(Shape::Text(FORM), read_topic_pattern)
}

fn read_topic_pattern(value: &Value) -> Result<String, String> {
    let pattern = read_text(value)?;
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || b"._-*?".contains(&byte);
    if pattern.len() <= 249 && pattern.bytes().all(legal) {
        return Ok(pattern);
    }
    let shown = shown(redacted(&pattern).as_bytes());
    Err(format!("must be a topic name or a glob with * and ?, found \"{shown}\""))
}

/// One of a list of words.
pub(super) fn word<T: Copy>(
    words: &[(&'static str, T)],
) -> Kind<impl Fn(&Value) -> Result<T, String>> {
    let all = words.iter().map(|(word, _)| *word).collect();
    Kind::new(Shape::Words(all), move |value| {
        let found = match value {
            Value::Text(text) => words.iter().find(|(word, _)| word == text),
            _ => None,
        };
        found.map(|(_, meaning)| *meaning).ok_or_else(|| {
            let all: Vec<_> = words.iter().map(|(word, _)| *word).collect();
            wanted(&format!("one of {}", all.join(", ")), value)
        })
    })
}

/// The word that `words` has for `meaning`.
pub(super) fn word_for<T: Copy + PartialEq>(
    words: &[(&'static str, T)],
    meaning: T,
) -> &'static str {
    words.iter().find(|(_, other)| *other == meaning).map_or("", |(word, _)| word)
}
