//! The commented configuration file as a list of keys: what each means, and its default or an example.
//!
//! Two blanks a level, a comment above each key. What is indented within a comment is an example of the key below it; keys of
//! an example may have comments of their own.

/// The file.
pub(super) const TEXT: &str = include_str!("../../config/schemaward.yaml");

/// A key as the file has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Commented {
    /// Its path: `rules[].topics`.
    pub(super) path: String,
    /// What is said about it.
    pub(super) meaning: String,
    /// What stands behind it; empty for one with keys below it.
    pub(super) value: String,
    /// Whether it stands in an example.
    pub(super) example: bool,
}

impl Commented {
    /// Its default, if it has one.
    pub(super) fn default(&self) -> Option<&str> {
        let has = !self.example && !self.value.is_empty() && !self.meaning.ends_with(NO_DEFAULT);
        has.then_some(&self.value)
    }

    /// What is said about it, apart from that.
    pub(super) fn said(&self) -> &str {
        self.meaning.strip_suffix(NO_DEFAULT).unwrap_or(&self.meaning).trim_end()
    }
}

/// Every key of `text`, in order, those of examples after the key that they are of.
pub(super) fn keys(text: &str) -> Vec<Commented> {
    let mut keys = Vec::new();
    read(text.lines(), "", false, &mut keys);
    keys
}

fn read<'t>(
    lines: impl Iterator<Item = &'t str>,
    prefix: &str,
    example: bool,
    keys: &mut Vec<Commented>,
) {
    let mut levels: Vec<&str> = Vec::new();
    let (mut said, mut shown) = (Vec::new(), Vec::new());
    for line in lines {
        let trimmed = line.trim_start();
        if let Some(comment) = trimmed.strip_prefix("# ") {
            match comment.strip_prefix("  ") {
                Some(inner) => shown.push(inner),
                None => said.push(comment.trim()),
            }
            continue;
        }
        if let Some((key, value)) = trimmed.split_once(':') {
            levels.truncate(line.len().saturating_sub(trimmed.len()) / 2);
            levels.push(key);
            let path = format!("{prefix}{}", levels.join("."));
            let (meaning, value) = (said.join(" "), value.trim().to_owned());
            keys.push(Commented { path: path.clone(), meaning, value, example });
            read_example(&shown, &path, key, keys);
        }
        said.clear();
        shown.clear();
    }
}

/// Reads the example of the key `key` at `path`: a list of mappings, or the key itself with what is below it.
fn read_example(lines: &[&str], path: &str, key: &str, keys: &mut Vec<Commented>) {
    let first = lines.iter().find(|line| !line.trim_start().starts_with('#'));
    if first.is_some_and(|line| line.starts_with("- ")) {
        let items =
            lines.iter().map(|line| line.replacen("- ", "  ", usize::from(line.starts_with("- "))));
        let items: Vec<_> =
            items.map(|line| line.strip_prefix("  ").unwrap_or(&line).to_owned()).collect();
        read(items.iter().map(String::as_str), &format!("{path}[]."), true, keys);
    } else if first.is_some_and(|line| line.strip_prefix(key) == Some(":")) {
        let below = lines.iter().filter_map(|line| line.strip_prefix("  "));
        read(below, &format!("{path}."), true, keys);
    }
}

/// What a comment says of a key whose value is only an example.
const NO_DEFAULT: &str = "No default.";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_have_their_comments_and_examples_their_keys() {
        let text = "# Of the file.\n\n# A section.\na:\n  # First,\n  # with a pipe.\n  b: 1\n  # Second.\n  #   c:\n  #     # Below.\n  #     d: /x\n  c: null\n# No default.\ne: 2\n# A list.\n#   # Item.\n#   - f: [x]\n#     # More.\n#     g: y\nh: []\n";
        let found: Vec<_> = keys(text)
            .into_iter()
            .map(|key| (key.path.clone(), key.meaning.clone(), key.default().map(str::to_owned)))
            .collect();
        let row = |path: &str, meaning: &str, default: Option<&str>| {
            (path.to_owned(), meaning.to_owned(), default.map(str::to_owned))
        };
        let expected = [
            row("a", "A section.", None),
            row("a.b", "First, with a pipe.", Some("1")),
            row("a.c", "Second.", Some("null")),
            row("a.c.d", "Below.", None),
            row("e", "No default.", None),
            row("h", "A list.", Some("[]")),
            row("h[].f", "Item.", None),
            row("h[].g", "More.", None),
        ];
        assert_eq!(found, expected);
    }
}
