//! Promise: Avro data are read as the specification says; where apache-avro, Java's Avro and fastavro differ, the table in
//! ARCHITECTURE.md says why, and what others write as JSON is taken.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may fail")]

#[path = "../support/mod.rs"]
mod support;

#[allow(dead_code, reason = "the sentences are for the documents, see tests/docs.rs")]
mod classes;
mod corpus;
mod schemas;

use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};

use apache_avro::reader::datum::GenericDatumReader;
use classes::{CLASSES, STRICTER};
use corpus::{DAMAGED, Subject, VALID};
use schemaward::avro::AvroSchema;
use schemaward::datum::{DatumError, DatumFault};
use schemaward::limits::SchemaLimits;
use serde_json::{Value, json};
use support::java::Java;
use support::python::Python;

/// Bytes read, or what was wrong.
type Read = Result<usize, String>;

fn compiled(subject: &Subject) -> AvroSchema {
    AvroSchema::parse(subject.schema, &[], &SchemaLimits::default()).unwrap()
}

fn tasks(corpus: &[Subject]) -> String {
    corpus.iter().map(|subject| corpus::task(subject) + "\n").collect()
}

/// What a program in another language says of each datum of a subject.
fn verdicts(line: &Value) -> Vec<Read> {
    let verdict = |each: &Value| match each.as_u64() {
        Some(read) => Ok(usize::try_from(read).unwrap()),
        None => Err(each.as_str().unwrap_or_else(|| panic!("{each}")).to_owned()),
    };
    line.as_array().unwrap().iter().map(verdict).collect()
}

fn apache_avro(subject: &Subject) -> Vec<Read> {
    let schema = apache_avro::Schema::parse_str(subject.schema).unwrap();
    let reader = GenericDatumReader::builder(&schema).build().unwrap();
    let read = |datum: &Vec<u8>| {
        let mut rest = &datum[..];
        let read = catch_unwind(AssertUnwindSafe(|| reader.read_value(&mut rest).map(drop)));
        match read.map_err(|_| "panic".to_owned())? {
            Ok(()) => Ok(datum.len() - rest.len()),
            Err(error) => Err(error.to_string()),
        }
    };
    subject.data.iter().map(read).collect()
}

/// Names of classes, each with the libraries that differ there.
type Differences = BTreeMap<&'static str, BTreeSet<&'static str>>;

/// What was found, and what was not expected.
#[derive(Default)]
struct Findings {
    /// Who reads what we refuse.
    read_by: Differences,
    /// Who refuses what we accept.
    refused_by: Differences,
    unexplained: Vec<String>,
    accepted: usize,
    refused: usize,
}

impl Findings {
    fn compare(
        &mut self,
        ours: &Result<(), Box<DatumError>>,
        theirs: &[(&'static str, &Read)],
        datum: &str,
    ) {
        let counter = if ours.is_ok() { &mut self.accepted } else { &mut self.refused };
        *counter += 1;
        if ours.is_ok() && theirs.iter().all(|(_, read)| read.is_err()) {
            self.unexplained.push(format!("only we accept it: {datum}"));
        }
        for (library, read) in theirs {
            let explained = match (ours, read) {
                (Ok(()), Ok(_)) | (Err(_), Err(_)) => true,
                (Ok(()), Err(why)) => self.refuses(library, why),
                (Err(error), Ok(read)) => self.reads(library, error, *read),
            };
            if !explained {
                self.unexplained.push(format!("we: {ours:?}, {library}: {read:?}: {datum}"));
            }
        }
    }

    /// Whether we know why `library` refuses what we accept.
    fn refuses(&mut self, library: &'static str, why: &str) -> bool {
        let class = STRICTER.iter().find(|class| class.said.iter().any(|said| why.contains(said)));
        note(&mut self.refused_by, class.map(|class| class.name), library)
    }

    /// Whether we know why `library` reads so many bytes where we see an error.
    fn reads(&mut self, library: &'static str, error: &DatumError, read: usize) -> bool {
        // Up to what is left over all must have read the same.
        if error.fault == DatumFault::TrailingBytes && read != error.offset {
            return false;
        }
        let fits = |said: &&[&str]| said.iter().all(|part| error.detail.contains(part));
        let class = CLASSES.iter().find(|class| class.said.iter().any(fits));
        note(&mut self.read_by, class.map(|class| class.name), library)
    }
}

fn note(into: &mut Differences, class: Option<&'static str>, library: &'static str) -> bool {
    class.map(|class| into.entry(class).or_default().insert(library)).is_some()
}

#[test]
fn libraries_differ_from_the_specification_where_the_table_says_so_and_nowhere_else() {
    let (Some(java), Some(python)) = (Java::get(), Python::get()) else { return };
    apache_avro::util::max_allocation_bytes(1 << 20);
    let corpus = corpus::all();
    let java = java.run("ReadAvro", &[], &tasks(&corpus)).json_lines();
    let python = python.run("read_avro.py", &[], &tasks(&corpus)).json_lines();
    assert_eq!((java.len(), python.len()), (corpus.len(), corpus.len()));
    let mut findings = Findings::default();
    for ((subject, java), python) in corpus.iter().zip(&java).zip(&python) {
        let schema = compiled(subject);
        let all = [
            ("apache-avro", apache_avro(subject)),
            ("Java", verdicts(java)),
            ("fastavro", verdicts(&python["verdicts"])),
        ];
        for (number, datum) in subject.data.iter().enumerate() {
            let ours = schema.check_binary(datum);
            let theirs = all.each_ref().map(|(library, reads)| (*library, &reads[number]));
            let shown = format!("{datum:02x?} of {}", subject.schema);
            if number < VALID {
                assert_eq!(ours, Ok(()), "{shown}");
                let read = |(_, read): &(_, &Read)| **read == Ok(datum.len());
                assert!(theirs.iter().all(read), "{theirs:?}: {shown}");
            }
            findings.compare(&ours, &theirs, &shown);
        }
    }
    let Findings { read_by, refused_by, unexplained, accepted, refused } = findings;
    println!("{accepted} accepted, {refused} refused, {} unexplained", unexplained.len());
    assert!(unexplained.is_empty(), "{}", unexplained.join("\n"));
    assert!(accepted >= corpus.len() * VALID && refused > corpus.len() * DAMAGED / 2);
    let libraries = |all: &[&'static str]| all.iter().copied().collect();
    let expected = CLASSES.iter().map(|class| (class.name, libraries(class.read_by)));
    assert_eq!(read_by, expected.collect());
    let expected = STRICTER.iter().map(|class| (class.name, libraries(class.refused_by)));
    assert_eq!(refused_by, expected.collect());
}

#[test]
fn what_python_libraries_write_as_json_is_accepted() {
    let Some(python) = Python::get() else { return };
    let corpus = corpus::all();
    let lines = python.run("read_avro.py", &[], &tasks(&corpus)).json_lines();
    let mut count = 0;
    for (subject, line) in corpus.iter().zip(&lines) {
        let schema = compiled(subject);
        for text in line["json"].as_array().unwrap() {
            let text = text.as_str().unwrap();
            assert_eq!(schema.check_json(text.as_bytes()), Ok(()), "{text} of {}", subject.schema);
            count += 1;
        }
    }
    assert!(count >= corpus.len() * VALID, "{count}");
}

#[test]
fn the_corpus_is_the_same_in_every_run() {
    let tasks = json!([tasks(&corpus::all()), tasks(&corpus::all())]);
    assert_eq!(tasks[0], tasks[1]);
    assert_eq!(corpus::all().iter().map(|all| all.data.len()).min(), Some(VALID + DAMAGED));
}
