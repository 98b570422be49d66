//! Avro schemas of every kind, valid data of theirs, and damaged ones: the same in every run.

use std::collections::HashMap;

use serde_json::{Value, json};

use super::schemas::SCHEMAS;

/// Valid data of each schema.
pub(crate) const VALID: usize = 10;
/// Damaged data of each schema.
pub(crate) const DAMAGED: usize = 96;

/// A schema and its data, the valid ones first.
#[derive(Debug)]
pub(crate) struct Subject {
    pub(crate) schema: &'static str,
    pub(crate) data: Vec<Vec<u8>>,
}

/// The whole corpus.
pub(crate) fn all() -> Vec<Subject> {
    SCHEMAS.iter().zip(1..).map(|(schema, seed)| subject(schema, seed)).collect()
}

fn subject(schema: &'static str, seed: u64) -> Subject {
    let document: Value = serde_json::from_str(schema).unwrap();
    let mut names = HashMap::new();
    collect(&document, "", &mut names);
    let write = |seed: u64, harm: Dice, flaw: Option<usize>| {
        let dice = Dice(seed);
        let mut writer =
            Writer { names: &names, dice, harm, out: Vec::new(), points: 0, flaw, levels: 0 };
        writer.value(&document, "");
        writer
    };
    let seeds = (1..).map(|number| seed << 32 | number);
    let valid: Vec<_> = seeds.take(VALID).map(|seed| (seed, write(seed, Dice(0), None))).collect();
    let mut data: Vec<_> = valid.iter().map(|(_, writer)| writer.out.clone()).collect();
    let mut dice = Dice(seed << 20 | 7);
    for round in 0..DAMAGED {
        let (seed, sound) = &valid[round % VALID];
        // Half of the damage is done by the writer, where a value begins; half to the bytes, anywhere.
        data.push(if round % 2 == 0 && sound.points > 0 {
            let place = dice.roll(sound.points);
            write(*seed, Dice(dice.next()), Some(place)).out
        } else {
            damaged(&sound.out, &mut dice)
        });
    }
    Subject { schema, data }
}

/// Flips a bit, cuts, or appends, in turn.
fn damaged(datum: &[u8], dice: &mut Dice) -> Vec<u8> {
    let mut datum = datum.to_vec();
    match (dice.roll(4), datum.len()) {
        (0, 1..) => datum.truncate(dice.roll(datum.len())),
        (2.., length @ 1..) => datum[dice.roll(length)] ^= 1 << dice.roll(8),
        _ => (0..=dice.roll(3)).for_each(|_| datum.push(dice.byte())),
    }
    datum
}

/// Small numbers that are as good as random.
#[derive(Debug, Clone)]
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    fn roll(&mut self, sides: usize) -> usize {
        usize::try_from(self.next() % u64::try_from(sides).unwrap()).unwrap()
    }

    fn byte(&mut self) -> u8 {
        self.next().to_le_bytes()[0]
    }

    /// Of any size, small ones as often as huge ones.
    fn number(&mut self) -> i64 {
        self.next().cast_signed() >> self.roll(64)
    }

    /// From zero to below `end`.
    fn below(&mut self, end: i64) -> i64 {
        self.next().cast_signed().rem_euclid(end)
    }
}

/// What a varint stands for.
#[derive(Clone, Copy)]
enum Number {
    Long,
    Int,
    Length,
    /// Of so many symbols or branches.
    Index(usize),
}

type Names<'s> = HashMap<String, (&'s Value, String)>;

/// Full names of the named types in `schema`, each with its definition and its namespace.
fn collect<'s>(schema: &'s Value, namespace: &str, names: &mut Names<'s>) {
    let namespace = match schema["name"].as_str().filter(|_| is_named(schema)) {
        Some(name) => {
            let own = schema["namespace"].as_str().unwrap_or(namespace);
            let name = full(name, own);
            let space = name.rsplit_once('.').map_or(String::new(), |(space, _)| space.to_owned());
            names.insert(name, (schema, space.clone()));
            space
        }
        None => namespace.to_owned(),
    };
    let fields = schema["fields"].as_array().into_iter().flatten().map(|field| &field["type"]);
    let parts = schema.as_array().into_iter().flatten();
    let inner = ["items", "values", "type"].map(|key| &schema[key]);
    for part in fields.chain(parts).chain(inner).filter(|part| !part.is_null()) {
        collect(part, &namespace, names);
    }
}

fn is_named(schema: &Value) -> bool {
    ["record", "enum", "fixed"].iter().any(|kind| schema["type"] == *kind)
}

fn full(name: &str, namespace: &str) -> String {
    if name.contains('.') || namespace.is_empty() {
        name.to_owned()
    } else {
        format!("{namespace}.{name}")
    }
}

/// Writes a datum, with one flaw or none.
struct Writer<'n> {
    names: &'n Names<'n>,
    /// What the datum is.
    dice: Dice,
    /// What the flaw is.
    harm: Dice,
    out: Vec<u8>,
    /// How many places so far could have had a flaw.
    points: usize,
    /// Which of these has it.
    flaw: Option<usize>,
    levels: usize,
}

impl Writer<'_> {
    fn flawed(&mut self) -> bool {
        self.points += 1;
        self.flaw == Some(self.points - 1)
    }

    fn value(&mut self, schema: &Value, namespace: &str) {
        match schema {
            Value::String(name) if self.primitive(name) => {}
            Value::String(name) => {
                let (definition, space) = &self.names[&full(name, namespace)];
                self.named(definition, space);
            }
            Value::Array(branches) => self.union(branches, namespace),
            _ if schema["logicalType"].is_string() => self.logical(schema, namespace),
            _ => match schema["type"].as_str() {
                Some("array" | "map") => self.blocks(schema, namespace),
                Some("record" | "enum" | "fixed") => {
                    let own = schema["namespace"].as_str().unwrap_or(namespace);
                    let name = full(schema["name"].as_str().unwrap(), own);
                    let (definition, space) = &self.names[&name];
                    self.named(definition, space);
                }
                _ => self.value(&schema["type"], namespace),
            },
        }
    }

    fn named(&mut self, schema: &Value, namespace: &str) {
        self.levels += 1;
        match schema["type"].as_str().unwrap() {
            "record" => {
                let fields = schema["fields"].as_array().unwrap();
                fields.iter().for_each(|field| self.value(&field["type"], namespace));
            }
            "enum" => {
                let symbols = schema["symbols"].as_array().unwrap().len();
                let symbol = self.dice.roll(symbols);
                self.number(i64::try_from(symbol).unwrap(), Number::Index(symbols));
            }
            _ => {
                let size = schema["size"].as_u64().unwrap();
                (0..size).for_each(|_| self.out.push(self.dice.byte()));
            }
        }
        self.levels -= 1;
    }

    fn union(&mut self, branches: &[Value], namespace: &str) {
        let null = branches.iter().position(|branch| branch == "null");
        let any = self.dice.roll(branches.len());
        let branch = null.filter(|_| self.levels > 4).unwrap_or(any);
        self.number(i64::try_from(branch).unwrap(), Number::Index(branches.len()));
        self.value(&branches[branch], namespace);
    }

    /// One or two blocks, each with its size or without.
    fn blocks(&mut self, schema: &Value, namespace: &str) {
        self.levels += 1;
        let blocks = if self.levels > 4 { 0 } else { self.dice.roll(3) };
        for _ in 0..blocks {
            let count = 1 + self.dice.below(3);
            let before = std::mem::take(&mut self.out);
            for _ in 0..count {
                if schema["type"] == "map" {
                    self.text();
                }
                self.value(schema.get("items").unwrap_or(&schema["values"]), namespace);
            }
            let items = std::mem::replace(&mut self.out, before);
            if self.dice.roll(2) == 0 {
                self.number(count, Number::Length);
            } else {
                varint(-count, &mut self.out);
                let mut size = i64::try_from(items.len()).unwrap();
                if self.flawed() {
                    size = [size + 1, size - 1, 0, -size, size + 999][self.harm.roll(5)];
                }
                varint(size, &mut self.out);
            }
            self.out.extend(items);
        }
        self.out.push(0);
        self.levels -= 1;
    }

    /// True if `kind` is a primitive type.
    fn primitive(&mut self, kind: &str) -> bool {
        match kind {
            "null" => {}
            "boolean" => {
                let flag = u8::from(self.dice.roll(2) == 0);
                let flaw = self.flawed().then(|| 2 + self.harm.byte() % 254);
                self.out.push(flaw.unwrap_or(flag));
            }
            "int" => {
                let value = self.dice.number() >> 32;
                self.number(value, Number::Int);
            }
            "long" => {
                let value = self.dice.number();
                self.number(value, Number::Long);
            }
            "float" => (0..4).for_each(|_| self.out.push(self.dice.byte())),
            "double" => (0..8).for_each(|_| self.out.push(self.dice.byte())),
            "bytes" => {
                let length = self.dice.below(9);
                self.number(length, Number::Length);
                (0..length).for_each(|_| self.out.push(self.dice.byte()));
            }
            "string" => self.text(),
            _ => return false,
        }
        true
    }

    fn text(&mut self) {
        const TEXTS: [&str; 6] =
            ["", "k", "plain", "größer", "日本語", "a text that is longer than most 🦀"];
        const WRONG: [&[u8]; 5] = [
            b"\xff",
            b"ab\xc3",
            b"\xc0\x80",
            b"\xed\xa0\x80",
            b"a text of some length, then \xe2\x82",
        ];
        let mut text = TEXTS[self.dice.roll(TEXTS.len())].as_bytes();
        if self.flawed() {
            text = WRONG[self.harm.roll(WRONG.len())];
        }
        self.number(i64::try_from(text.len()).unwrap(), Number::Length);
        self.out.extend(text);
    }

    /// A value that its logical type allows: libraries that turn it into a date or a decimal must not be what refuses it.
    fn logical(&mut self, schema: &Value, namespace: &str) {
        const DAY: i64 = 86_400_000;
        let millis = self.dice.below(4_000_000_000_000) - 1_000_000_000_000;
        match (schema["logicalType"].as_str().unwrap(), schema["type"].as_str()) {
            ("date", _) => self.number(millis / DAY, Number::Int),
            ("time-millis", _) => self.number(millis.rem_euclid(DAY), Number::Int),
            ("time-micros", _) => self.number(millis.rem_euclid(DAY) * 1_000, Number::Long),
            ("timestamp-millis" | "local-timestamp-millis", _) => self.number(millis, Number::Long),
            ("timestamp-micros" | "local-timestamp-micros", _) => {
                self.number(millis * 1_000, Number::Long);
            }
            ("decimal", Some("bytes")) => {
                self.number(2, Number::Length);
                (0..2).for_each(|_| self.out.push(self.dice.byte()));
            }
            ("decimal", Some("fixed")) => {
                let size = usize::try_from(schema["size"].as_u64().unwrap()).unwrap();
                let value = (self.dice.number() >> 40).to_be_bytes();
                let sign = if value[0] > 0x7f { 0xff } else { 0 };
                self.out.extend(vec![sign; size.saturating_sub(8)]);
                self.out.extend(&value[8_usize.saturating_sub(size)..]);
            }
            ("uuid", Some("string")) => {
                let number = u128::from(self.dice.next()) << 64 | u128::from(self.dice.next());
                let text = uuid::Uuid::from_u128(number).to_string();
                self.number(36, Number::Length);
                self.out.extend(text.bytes());
            }
            _ => {
                let mut base = schema.clone();
                base.as_object_mut().unwrap().remove("logicalType");
                if is_named(&base) {
                    self.named(&base, namespace)
                } else {
                    self.value(&base["type"], namespace)
                }
            }
        }
    }

    fn number(&mut self, value: i64, number: Number) {
        if !self.flawed() {
            return varint(value, &mut self.out);
        }
        let mut own = Vec::new();
        varint(value, &mut own);
        match (self.harm.roll(4), number) {
            (0, _) => own = overlong(own, 1 + self.harm.roll(3)),
            (1, Number::Int) => {
                own.clear();
                varint(value + [1 << 32, -1 << 32, 1 << 40][self.harm.roll(3)], &mut own);
            }
            (1 | 2, Number::Int | Number::Long) => own = own_of_ten(&mut self.harm),
            (1 | 2, Number::Length | Number::Index(_)) => {
                let limit = if let Number::Index(count) = number {
                    i64::try_from(count).unwrap()
                } else {
                    400
                };
                let wrong =
                    [-1, -2, -value, limit, limit + 3, i64::MIN, i64::MAX][self.harm.roll(7)];
                own.clear();
                varint(wrong, &mut own);
            }
            _ => own = vec![0x80 | self.harm.byte(); 9 + self.harm.roll(3)],
        }
        self.out.extend(own);
    }
}

/// A varint of ten bytes, or of eleven, of which the last may have more bits than there is place for.
fn own_of_ten(harm: &mut Dice) -> Vec<u8> {
    let mut own: Vec<_> = (0..9 + harm.roll(2)).map(|_| 0x80 | harm.byte()).collect();
    own.push(harm.byte() & 0x7f);
    own
}

fn overlong(mut varint: Vec<u8>, more: usize) -> Vec<u8> {
    *varint.last_mut().unwrap() |= 0x80;
    varint.extend(vec![0x80; more - 1]);
    varint.push(0);
    varint
}

fn varint(value: i64, out: &mut Vec<u8>) {
    let mut raw = ((value << 1) ^ (value >> 63)).cast_unsigned();
    while raw > 0x7f {
        out.push(0x80 | (raw & 0x7f).to_le_bytes()[0]);
        raw >>= 7;
    }
    out.push(raw.to_le_bytes()[0]);
}

/// One task for a reader in another language.
pub(crate) fn task(subject: &Subject) -> String {
    let hex = |datum: &Vec<u8>| datum.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let data: Vec<_> = subject.data.iter().map(hex).collect();
    json!({"schema": subject.schema, "valid": VALID, "data": data}).to_string()
}
