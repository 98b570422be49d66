//! Texts of a configuration as they may be shown: without what is a secret, if somebody has put one where none belongs.

use std::borrow::Cow;

/// `text` without a user name or password before a host, and without the values of a query that are named like secrets.
pub(super) fn redacted(text: &str) -> Cow<'_, str> {
    let userless = without_user(text);
    match userless.split_once('?') {
        Some((path, query)) if query.split('&').any(is_secret) => {
            let shown = |part| match (is_secret(part), part.split_once('=')) {
                (true, Some((name, _))) => format!("{name}={HIDDEN}"),
                _ => part.to_owned(),
            };
            let query: Vec<_> = query.split('&').map(shown).collect();
            format!("{path}?{}", query.join("&")).into()
        }
        _ => userless,
    }
}

/// What stands before the `@` of a host, if it may be a password: in a URL, or as in `user:password@host`.
fn without_user(text: &str) -> Cow<'_, str> {
    let start = text.find("://").map(|at| at + "://".len());
    let (scheme, rest) = text.split_at_checked(start.unwrap_or_default()).unwrap_or(("", text));
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at_checked(end).unwrap_or((rest, ""));
    match authority.rsplit_once('@') {
        Some((user, host)) if start.is_some() || user.contains(':') => {
            format!("{scheme}{HIDDEN}@{host}{path}").into()
        }
        _ => text.into(),
    }
}

/// Whether `name=value` of a query is named like a secret.
fn is_secret(part: &str) -> bool {
    let Some((name, value)) = part.split_once('=') else { return false };
    let name = name.to_ascii_lowercase();
    !value.is_empty() && SECRETS.iter().any(|secret| name.contains(secret))
}

/// What stands in the place of a secret.
const HIDDEN: &str = "***";
/// What is part of the name of a secret.
const SECRETS: [&str; 8] =
    ["token", "secret", "password", "passwd", "pwd", "key", "credential", "signature"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_hidden_and_everything_else_stays() {
        for (text, expected) in [
            ("https://me:pw@host:8081/a?b=c", "https://***@host:8081/a?b=c"),
            ("https://token@host/", "https://***@host/"),
            ("https://a@b:c@host", "https://***@host"),
            ("me:pw@kafka:9092", "***@kafka:9092"),
            ("https://host/a@b/c", "https://host/a@b/c"),
            (
                "/by/{id}?api-version=1&access_token=x&y",
                "/by/{id}?api-version=1&access_token=***&y",
            ),
            ("https://host/?APIKey=x", "https://host/?APIKey=***"),
            ("https://host/?key=", "https://host/?key="),
            ("user@host", "user@host"),
            ("orders.*", "orders.*"),
            ("", ""),
        ] {
            assert_eq!(redacted(text), expected);
        }
    }
}
