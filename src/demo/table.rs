//! The result as a plain-text table that fits a terminal of a hundred columns.

use super::Fate;
use super::producer::{Refusal, Seen};
use crate::text::shown;

/// One row for each event: what was sent, what its producer saw, what the broker stored.
#[must_use]
pub fn render(fates: &[Fate]) -> String {
    let heads = HEADS.map(|head| vec![head.to_owned()]);
    let rows: Vec<_> = fates.iter().map(|fate| cells(fate).map(|cell| wrap(&cell))).collect();
    let mut out = rule('┌', '┬', '┐') + &row(&heads);
    for cells in &rows {
        out += &rule('├', '┼', '┤');
        out += &row(cells);
    }
    out + &rule('└', '┴', '┘')
}

fn cells(fate: &Fate) -> [String; COLUMNS] {
    let stored = match &fate.stored {
        None => "nothing".to_owned(),
        Some(stored) if fate.is_stored_as_sent() => {
            format!("offset {}: {} bytes, as they were sent", stored.offset, stored.value.len())
        }
        Some(stored) => format!("offset {}: something else", stored.offset),
    };
    [format!("{}. {}", fate.event.key, fate.event.name), told(&fate.seen), stored]
}

fn told(seen: &Seen) -> String {
    match seen {
        Seen::Acknowledged { offset } => format!("acknowledged, offset {offset}"),
        Seen::Failed(why) => format!("failed: {}", shown(why.as_bytes())),
        Seen::Refused(Refusal { code, name, message: None, .. }) => {
            format!("refused: {code} {name}")
        }
        Seen::Refused(Refusal { code, name, message: Some(message), .. }) => {
            format!("refused: {code} {name}: {}", shown(message.as_bytes()))
        }
    }
}

/// Breaks a text into lines that fit a column, between words where it can.
fn wrap(text: &str) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split(' ').flat_map(pieces) {
        let line = lines.last_mut().map_or(0, |line| line.chars().count());
        match lines.last_mut() {
            Some(last) if line > 0 && line + 1 + word.chars().count() <= WIDTH => {
                last.push(' ');
                last.push_str(&word);
            }
            Some(last) if line == 0 => last.push_str(&word),
            _ => lines.push(word),
        }
    }
    lines
}

/// A word, cut where it is wider than a column.
fn pieces(word: &str) -> Vec<String> {
    let characters: Vec<char> = word.chars().collect();
    characters.chunks(WIDTH).map(|piece| piece.iter().collect()).collect()
}

fn row(cells: &[Vec<String>; COLUMNS]) -> String {
    let height = cells.iter().map(Vec::len).max().unwrap_or(0);
    let line = |at: usize| {
        let texts = cells.each_ref().map(|cell| cell.get(at).map_or("", String::as_str));
        let padded = texts.map(|text| format!("│ {text:WIDTH$} "));
        format!("{}│\n", padded.concat())
    };
    (0..height).map(line).collect()
}

fn rule(left: char, middle: char, right: char) -> String {
    let dashes = "─".repeat(WIDTH + 2);
    let parts = [dashes.as_str(); COLUMNS].join(&middle.to_string());
    format!("{left}{parts}{right}\n")
}

const COLUMNS: usize = 3;
const HEADS: [&str; COLUMNS] = ["what was sent", "what the producer saw", "what the broker stored"];
/// Characters of one column; with frames, three of them take a hundred.
const WIDTH: usize = 30;

#[cfg(test)]
mod tests {
    use super::super::events;
    use super::super::read_back::Stored;
    use super::*;

    #[test]
    fn shows_for_each_event_what_was_sent_what_the_producer_saw_and_what_was_stored() {
        let [good, _, _, bad, _] = events::five("http://registry");
        let stored = Stored {
            offset: 0,
            key: Vec::new(),
            value: good.value.clone(),
            headers: good.headers.clone(),
        };
        let refusal = Refusal {
            code: 87,
            name: "InvalidRecord".to_owned(),
            message: Some("payload_invalid: record 0: users at byte 8".to_owned()),
            event: bad.clone(),
        };
        let seen = Seen::Acknowledged { offset: 0 };
        let table = render(&[
            Fate { event: good, seen, stored: Some(stored) },
            Fate { event: bad, seen: Seen::Refused(refusal), stored: None },
        ]);
        assert_eq!(table, EXPECTED);
    }

    #[test]
    fn wraps_between_words_and_cuts_words_that_are_wider_than_a_column() {
        assert_eq!(wrap("short"), ["short"]);
        let words = wrap("a text of several words that is too wide");
        assert_eq!(words, ["a text of several words that", "is too wide"]);
        assert_eq!(wrap(&"é".repeat(31)), ["é".repeat(30), "é".to_owned()]);
        assert_eq!(wrap(""), [""]);
    }

    const EXPECTED: &str = "\
┌────────────────────────────────┬────────────────────────────────┬────────────────────────────────┐
│ what was sent                  │ what the producer saw          │ what the broker stored         │
├────────────────────────────────┼────────────────────────────────┼────────────────────────────────┤
│ 1. a user, as Avro             │ acknowledged, offset 0         │ offset 0: 12 bytes, as they    │
│                                │                                │ were sent                      │
├────────────────────────────────┼────────────────────────────────┼────────────────────────────────┤
│ 4. a user, cut off             │ refused: 87 InvalidRecord:     │ nothing                        │
│                                │ payload_invalid: record 0:     │                                │
│                                │ users at byte 8                │                                │
└────────────────────────────────┴────────────────────────────────┴────────────────────────────────┘
";
}
