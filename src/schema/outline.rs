//! What a file of Protocol Buffers says at its top: which files it imports, and which messages it has. Not a parser: what it
//! does not understand, the compiler will refuse.

/// The top of a file.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Outline {
    /// Paths of the files that it imports.
    pub(super) imports: Vec<String>,
    /// Full names of its messages, those inside of others left out.
    pub(super) messages: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Token<'t> {
    /// Letters, digits, `_` and dots.
    Word(&'t str),
    /// What stands between quotes, escapes as they are.
    Text(&'t str),
    Sign(char),
}

impl Outline {
    /// Reads the top of `text`.
    pub(super) fn of(text: &str) -> Self {
        let mut outline = Self::default();
        let mut package = "";
        let mut depth = 0_usize;
        let mut statement: Vec<Token<'_>> = Vec::new();
        let mut rest = text;
        while let Some((token, after)) = next(rest) {
            rest = after;
            match token {
                Token::Sign('{') => {
                    if depth == 0
                        && let [Token::Word("message"), Token::Word(name)] = *statement
                    {
                        outline.messages.push(name.to_owned());
                    }
                    depth = depth.saturating_add(1);
                }
                Token::Sign('}') => depth = depth.saturating_sub(1),
                Token::Sign(';') if depth == 0 => match *statement {
                    [Token::Word("package"), Token::Word(name)] => package = name,
                    [Token::Word("import"), .., Token::Text(path)] => {
                        outline.imports.push(path.to_owned());
                    }
                    _ => {}
                },
                token if depth == 0 => {
                    // No statement of interest is longer.
                    if statement.len() < 4 {
                        statement.push(token);
                    }
                    continue;
                }
                _ => continue,
            }
            statement.clear();
        }
        if !package.is_empty() {
            for name in &mut outline.messages {
                *name = format!("{package}.{name}");
            }
        }
        outline
    }
}

/// The first token, and what follows it. `None` at the end, or where a comment or a text does not end.
fn next(text: &str) -> Option<(Token<'_>, &str)> {
    let mut text = text;
    loop {
        text = text.trim_start();
        if let Some(comment) = text.strip_prefix("//") {
            text = comment.split_once('\n')?.1;
        } else if let Some(comment) = text.strip_prefix("/*") {
            text = comment.split_once("*/")?.1;
        } else {
            break;
        }
    }
    let first = text.chars().next()?;
    if matches!(first, '"' | '\'') {
        let inside = text.get(1..)?;
        let mut escaped = false;
        let end = inside.find(|c: char| {
            let ends = c == first && !escaped;
            escaped = c == '\\' && !escaped;
            ends
        })?;
        return Some((Token::Text(inside.get(..end)?), inside.get(end + 1..)?));
    }
    let is_word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.');
    if is_word(first) {
        let end = text.find(|c| !is_word(c)).unwrap_or(text.len());
        let (word, after) = text.split_at_checked(end)?;
        return Some((Token::Word(word), after));
    }
    Some((Token::Sign(first), text.get(first.len_utf8()..)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_top_of_a_file_is_read() {
        let text = r#"
            // import "no.proto";
            /* message No {} */ syntax = "proto3";
            import "a/b.proto"; import public 'c.proto';
            import weak "d.proto";
            option java_package = "message X {";
            enum E { import = 0; }
            message M { string s = 1 [default = "}"]; message Inner { } oneof o { int32 i = 2; } }
            package p.q;
            message N {}
            service S { rpc R (M) returns (N) {} }
        "#;
        let outline = Outline::of(text);
        assert_eq!(outline.imports, ["a/b.proto", "c.proto", "d.proto"]);
        assert_eq!(outline.messages, ["p.q.M", "p.q.N"]);
    }

    #[test]
    fn what_does_not_end_is_not_read() {
        for text in
            ["", "/*", "//", "import \"x", "import 'x\\';", "message M", "}}}}", "\u{feff}ü;"]
        {
            assert_eq!(Outline::of(text), Outline::default(), "{text}");
        }
        assert_eq!(Outline::of("message M {").messages, ["M"]);
    }
}
