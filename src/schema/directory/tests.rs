//! Folders as they are mounted, changed, broken, swapped and misused.

use std::{
    fs,
    os::unix::fs::symlink,
    path::Path,
    process::Command,
    sync::{Arc, Mutex},
};

use tempfile::TempDir;

use super::*;
use crate::schema::{
    ArtifactVersion, Guid, HttpSource, RegistryAccess, RegistrySettings, RequestOutcome, SchemaId,
    SchemaSource, testing,
};

/// A folder, what asks it, and what was compiled of it.
struct Case {
    folder: TempDir,
    settings: RegistrySettings,
    source: HttpSource,
    compiled: Arc<Mutex<Vec<Documents>>>,
}

impl Case {
    fn new(files: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("schemas");
        fs::create_dir(&path).unwrap();
        let api = RegistryApi::Directory { path };
        let mut settings = testing::settings("http://folder/base");
        settings.access = RegistryAccess { api, ..RegistryAccess::default() };
        let (source, compiled) = testing::source(&settings);
        let case = Self { folder, settings, source, compiled };
        for (name, text) in files {
            case.write(name, text);
        }
        case
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.folder.path().join("schemas").join(name)
    }

    fn write(&self, name: &str, text: impl AsRef<[u8]>) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    async fn find(
        &self,
        reference: &SchemaRef,
        previous: Option<&Fetched>,
    ) -> Result<Arc<Fetched>, SourceError> {
        self.source.find(reference, previous).await
    }

    async fn header(&self, header: &str) -> Result<Arc<Fetched>, SourceError> {
        self.find(&testing::reference(&self.settings, header), None).await
    }

    async fn key(&self, key: RegistryKey) -> Result<Arc<Fetched>, SourceError> {
        let registry = "http://folder/base".into();
        self.find(&SchemaRef::Registered { registry, key }, None).await
    }

    fn last(&self) -> Documents {
        self.compiled.lock().unwrap().last().unwrap().clone()
    }
}

fn outcome(result: &Result<Arc<Fetched>, SourceError>) -> &'static str {
    RequestOutcome::of(result, None).label()
}

#[tokio::test]
async fn a_path_or_url_names_a_file_and_its_ending_the_language() {
    let keyword = r#"{"$schema": "x"}"#;
    let case = Case::new(&[
        ("users/schema.avsc", "\u{feff}\"users\""),
        ("a b.proto", "x"),
        ("grün.json", keyword),
        ("c.schema.json", "{}"),
    ]);
    let table = [
        ("users/schema.avsc", "\"users\"", SchemaFormat::Avro),
        ("http://folder/base/users/schema.avsc", "\"users\"", SchemaFormat::Avro),
        ("/base/users/schema.avsc#x", "\"users\"", SchemaFormat::Avro),
        ("a%20b.proto", "x", SchemaFormat::Protobuf),
        ("grün.json", keyword, SchemaFormat::Json),
        ("c.schema.json", "{}", SchemaFormat::Json),
    ];
    for (header, text, format) in table {
        let found = case.header(header).await;
        assert!(found.is_ok(), "{header}: {found:?}");
        let documents = case.last();
        assert_eq!((&*documents.text, documents.format), (text, format), "{header}");
    }
}

#[tokio::test]
async fn every_kind_of_key_names_a_file_whatever_it_ends_in() {
    let guid = Guid([1; 16]);
    let artifact = ArtifactVersion { group: "g".into(), artifact: "a".into(), version: "1".into() };
    let escaping =
        ArtifactVersion { group: "..".into(), artifact: "../../x".into(), version: "1".into() };
    let case = Case::new(&[
        ("schemas/ids/42.avsc", "42"),
        ("schemas/ids/43", "43"),
        ("schemas/ids/44.proto", "44"),
        (&format!("schemas/guids/{guid}.schema.json"), "{}"),
        ("ids/contentIds/7.json", "7"),
        ("groups/g/artifacts/a/versions/1.avsc", "artifact"),
        ("deep/er/string.avsc", "\"string\""),
        ("fingerprints/0000000000000001.avsc", "named"),
    ]);
    let string = (-8_142_146_995_180_207_161_i64).cast_unsigned();
    let table = [
        (RegistryKey::Id(SchemaId(42)), "42"),
        (RegistryKey::Id(SchemaId(43)), "43"),
        (RegistryKey::Id(SchemaId(44)), "44"),
        (RegistryKey::Guid(guid), "{}"),
        (RegistryKey::ContentId(7), "7"),
        (RegistryKey::Artifact(artifact), "artifact"),
        (RegistryKey::Fingerprint(string), "\"string\""),
        (RegistryKey::Fingerprint(1), "named"),
    ];
    for (key, text) in table {
        let found = case.key(key.clone()).await;
        assert!(found.is_ok(), "{key}: {found:?}");
        assert_eq!(case.last().text, text, "{key}");
    }
    for key in [
        RegistryKey::Id(SchemaId(4)),
        RegistryKey::GlobalId(7),
        RegistryKey::Fingerprint(2),
        RegistryKey::Artifact(escaping),
    ] {
        assert_eq!(outcome(&case.key(key.clone()).await), "not_found", "{key}");
    }
}

#[tokio::test]
async fn nothing_outside_of_the_folder_and_nothing_but_files_is_read() {
    let case = Case::new(&[("in.avsc", "in"), ("sub/x.avsc", "x"), (".hidden", "hidden")]);
    fs::write(case.folder.path().join("secret"), "secret").unwrap();
    symlink("../secret", case.path("out.avsc")).unwrap();
    symlink(case.folder.path(), case.path("up")).unwrap();
    symlink("/etc/hostname", case.path("absolute.avsc")).unwrap();
    symlink("sub/../in.avsc", case.path("within.avsc")).unwrap();
    symlink("loop", case.path("loop")).unwrap();
    symlink("nowhere", case.path("dangling")).unwrap();
    let made = Command::new("mkfifo").arg(case.path("pipe.avsc")).status().unwrap();
    assert!(made.success());
    case.write("huge.avsc", vec![b' '; 1_001]);
    case.write("binary.avsc", [0xff]);
    case.write("exact.avsc", vec![b' '; 1_000]);
    let table = [
        ("within.avsc", "found"),
        ("exact.avsc", "found"),
        ("out.avsc", "invalid"),
        ("up/secret", "invalid"),
        ("absolute.avsc", "invalid"),
        ("huge.avsc", "invalid"),
        ("binary.avsc", "invalid"),
        ("pipe.avsc", "not_found"),
        ("sub", "not_found"),
        ("sub/", "not_found"),
        ("in.avsc/x", "not_found"),
        ("dangling", "not_found"),
        (".hidden", "not_found"),
        ("in.avsc?x=y", "not_found"),
        ("sub%2Fx.avsc", "not_found"),
        ("none.avsc", "not_found"),
        ("loop", "unavailable"),
    ];
    for (header, expected) in table {
        let found = case.header(header).await;
        assert_eq!(outcome(&found), expected, "{header}: {found:?}");
        let shown = format!("{found:?}");
        assert!(!shown.contains(case.folder.path().to_str().unwrap()), "{shown}");
    }
    // What never came through the reader of references.
    for url in ["http://folder/base/%2e%2e/secret", "http://folder/base/..%2fsecret"] {
        let reference = SchemaRef::Document(DocumentUrl(url.into()));
        assert_ne!(outcome(&case.find(&reference, None).await), "found", "{url}");
    }
    assert!(case.compiled.lock().unwrap().iter().all(|it| it.text != "secret"));
}

#[tokio::test]
async fn a_folder_that_is_not_there_is_unavailable() {
    let case = Case::new(&[("a.avsc", "a")]);
    fs::remove_dir_all(case.path("")).unwrap();
    assert_eq!(outcome(&case.header("a.avsc").await), "unavailable");
}

#[tokio::test]
async fn a_config_map_is_swapped_under_its_files() {
    let case = Case::new(&[("..v1/a.avsc", "one")]);
    symlink("..v1", case.path("..data")).unwrap();
    symlink("..data/a.avsc", case.path("a.avsc")).unwrap();
    let reference = testing::reference(&case.settings, "a.avsc");
    let first = case.find(&reference, None).await.unwrap();
    assert_eq!(case.last().text, "one");

    let same = case.find(&reference, Some(&first)).await.unwrap();
    assert!(Arc::ptr_eq(&first.schema, &same.schema));

    case.write("..v2/a.avsc", "two");
    symlink("..v2", case.path("..data_tmp")).unwrap();
    fs::rename(case.path("..data_tmp"), case.path("..data")).unwrap();
    fs::remove_dir_all(case.path("..v1")).unwrap();
    let second = case.find(&reference, Some(&same)).await.unwrap();
    assert!(!Arc::ptr_eq(&first.schema, &second.schema));
    assert_eq!(case.last().text, "two");
}

#[tokio::test]
async fn a_file_that_is_no_schema_any_more_leaves_the_last_good_one() {
    let case = Case::new(&[("a.avsc", "good")]);
    let reference = testing::reference(&case.settings, "a.avsc");
    let mut known = case.find(&reference, None).await.unwrap();
    let good = Arc::clone(&known.schema);
    let broken: [&[u8]; 4] = [b"fault", b"panic", &[0xff], &[b' '; 2_000]];
    for bytes in broken {
        case.write("a.avsc", bytes);
        known = case.find(&reference, Some(&known)).await.unwrap();
        assert!(Arc::ptr_eq(&known.schema, &good), "{bytes:?}");
        assert_eq!(known.lifetime, FRESH);
        // Who has never seen the good one has no schema.
        assert_eq!(outcome(&case.find(&reference, None).await), "invalid", "{bytes:?}");
    }
    case.write("a.avsc", "good");
    let again = case.find(&reference, Some(&known)).await.unwrap();
    assert!(Arc::ptr_eq(&again.schema, &good));
    case.write("a.avsc", "better");
    let better = case.find(&reference, Some(&known)).await.unwrap();
    assert!(!Arc::ptr_eq(&better.schema, &good));
    fs::remove_file(case.path("a.avsc")).unwrap();
    assert_eq!(outcome(&case.find(&reference, Some(&better)).await), "not_found");
}

#[tokio::test]
async fn a_broken_file_is_told_once_for_what_it_holds() {
    let case = Case::new(&[]);
    let settings = &case.settings;
    let limits = SchemaLimits::default();
    let folders = Folders::new(Registries::new(settings), limits);
    let folder = folders.of(settings.url.as_ref().unwrap()).unwrap();
    let name: Arc<str> = "a".into();
    let told = |folder: &Folder| folder.lock_broken().get(&name).copied();
    let error = SourceError::invalid("x");
    folder.warn_once(&name, [1; 32], &error);
    assert_eq!(told(folder), Some([1; 32]));
    for other in 0..MAX_BROKEN * 2 {
        folder.warn_once(&format!("{other}").into(), [2; 32], &error);
        assert!(folder.lock_broken().len() <= MAX_BROKEN);
    }
}

#[tokio::test]
async fn imports_are_found_from_the_top_and_refs_beside_the_file() {
    let case = Case::new(&[
        ("p/root.proto", "import \"p/a.proto\"; import \"google/protobuf/any.proto\";"),
        ("p/a.proto", "import 'b.proto';"),
        ("b.proto", "package b;"),
        ("p/missing.proto", "import \"a.proto\";"),
        ("p/cycle.proto", "import \"p/cycle.proto\";"),
        (
            "j/root.schema.json",
            r##"{"properties": {"a": {"$ref": "defs/a.json#/x"}, "b": {"$ref": "#/$defs/b"},
                "c": {"$ref": "https://json-schema.org/draft/2020-12/schema"}}}"##,
        ),
        ("j/defs/a.json", r#"{"$schema": "x", "items": [{"$ref": "../../shared.schema.json"}]}"#),
        ("shared.schema.json", r#"{"$ref": "/base/j/defs/last.schema.json"}"#),
        ("j/defs/last.schema.json", "{}"),
        ("j/out.schema.json", r#"{"$ref": "../../../etc/passwd"}"#),
    ]);
    let names = |documents: &Documents| {
        documents.references.iter().map(|it| it.name.clone()).collect::<Vec<_>>()
    };
    let found = case.header("p/root.proto").await;
    assert!(found.is_ok(), "{found:?}");
    assert_eq!(names(&case.last()), ["b.proto", "p/a.proto"]);
    assert_eq!(outcome(&case.header("p/missing.proto").await), "not_found");
    assert_eq!(outcome(&case.header("p/cycle.proto").await), "invalid");
    let found = case.header("j/root.schema.json").await;
    assert!(found.is_ok(), "{found:?}");
    let expected = ["defs/last.schema.json", "../shared.schema.json", "defs/a.json"];
    assert_eq!(names(&case.last()), expected);
    let found = case.header("j/out.schema.json").await;
    assert_eq!(outcome(&found), "found");
    assert!(case.last().references.is_empty(), "it is for the compiler to refuse");
}

#[tokio::test]
async fn fingerprints_follow_the_files() {
    let case = Case::new(&[("a.avsc", "\"int\""), ("b.txt", "\"string\"")]);
    let int = 8_247_732_601_305_521_295_u64;
    let string = (-8_142_146_995_180_207_161_i64).cast_unsigned();
    let files = Files::new(case.path(""), 1_000);
    let fresh = |wanted| Fingerprints::default().find(wanted, &files);
    assert_eq!(fresh(int).as_deref(), Some("a.avsc"));
    assert_eq!(fresh(string), None);
    case.write("c.avsc", "\"string\"");
    symlink(Path::new("/etc"), case.path("etc")).unwrap();
    assert_eq!(fresh(string).as_deref(), Some("c.avsc"));
    let listed = files.list(".avsc").into_iter().map(|it| it.path).collect::<Vec<_>>();
    assert_eq!(listed.len(), 2, "{listed:?}");
}
