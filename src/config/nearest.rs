//! Which word was meant: for keys and variables that are not known.

/// The one of `known` that `key` was most likely meant to be.
pub(super) fn nearest<'k>(key: &str, known: &[&'k str]) -> Option<&'k str> {
    if key.len() > 64 {
        return None;
    }
    let close = |word: &&str| distance(key, word) <= 1 + word.len() / 5;
    known.iter().copied().filter(close).min_by_key(|word| distance(key, word))
}

/// Letters to insert, delete or replace between `left` and `right`, `-` and capitals aside.
fn distance(left: &str, right: &str) -> usize {
    let plain = |text: &str| text.to_ascii_lowercase().replace('-', "_").into_bytes();
    let (left, right) = (plain(left), plain(right));
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (at, letter) in left.iter().enumerate() {
        let mut diagonal = at;
        let mut before = at + 1;
        for (cell, other) in row.iter_mut().skip(1).zip(&right) {
            let changed = diagonal + usize::from(letter != other);
            diagonal = *cell;
            before = changed.min(before + 1).min(*cell + 1);
            *cell = before;
        }
        if let Some(first) = row.first_mut() {
            *first = at + 1;
        }
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distance_counts_edits() {
        let table = [
            ("", "", 0),
            ("abc", "", 3),
            ("", "abc", 3),
            ("broker_port", "broker_ports", 1),
            ("kitten", "sitting", 3),
            ("Broker-Ports", "broker_ports", 0),
        ];
        for (left, right, expected) in table {
            assert_eq!(distance(left, right), expected, "{left} {right}");
        }
    }

    #[test]
    fn only_near_words_are_suggested() {
        let known = ["bootstrap", "broker_ports", "advertised_host"];
        assert_eq!(nearest("broker_port", &known), Some("broker_ports"));
        assert_eq!(nearest("bootstap", &known), Some("bootstrap"));
        assert_eq!(nearest("host", &known), None);
    }
}
