//! Promise: `schemaward inject` adds the sidecar to whatever makes pods and changes nothing else; what it writes is what
//! Kubernetes takes, a second time changes nothing, and what runs then leads to the brokers.
//!
//! `tests/inject/NAME.in.*` are inputs, whose first line says how the command is called. `BLESS=1` writes what comes out.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may fail")]

mod support;

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use proptest::prelude::*;
use schemaward::kubernetes::{
    self, Configuration, Defaults, Present, Value, difference, variables,
};
use support::{
    batch_builder::{TestBatch, TestRecord},
    binary::Program,
    broker::FakeBroker,
    client::{Client, Produce, only},
    json_patch,
    process::{self, Finished},
    proxy::loopback,
    python::Python,
    registry::Registry,
};

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/inject");

/// Runs the command in the folder of the inputs.
fn inject(args: &[&str], stdin: &str) -> Finished {
    let mut command = Command::new(env!("CARGO_BIN_EXE_schemaward"));
    command.arg("inject").args(args).current_dir(FOLDER).env_clear();
    process::run(&mut command, stdin, Duration::from_secs(60))
}

/// Every input and how the command is called for it.
fn inputs() -> Vec<(PathBuf, Vec<String>)> {
    let mut inputs: Vec<_> = fs::read_dir(FOLDER)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.file_name().unwrap().to_str().unwrap().contains(".in."))
        .map(|path| (args_of(&path), path))
        .map(|(args, path)| (path, args))
        .collect();
    inputs.sort();
    assert!(inputs.len() > 8, "{inputs:?}");
    inputs
}

fn args_of(path: &Path) -> Vec<String> {
    let text = fs::read_to_string(path).unwrap();
    let line = text.lines().next().unwrap();
    // JSON has no comments.
    let call = line.strip_prefix("# schemaward inject ").unwrap_or("--config schemaward.yaml");
    call.split(' ').map(str::to_owned).collect()
}

fn run(path: &Path, args: &[String]) -> Finished {
    let args: Vec<_> = args.iter().map(String::as_str).collect();
    inject(&args, &fs::read_to_string(path).unwrap())
}

fn is_blessing() -> bool {
    std::env::var_os("BLESS").is_some()
}

#[test]
fn what_comes_out_is_what_is_written_down() {
    for (path, args) in inputs() {
        let name = path.to_str().unwrap();
        let finished = run(&path, &args);
        let code = finished.status.code().unwrap();
        let said = format!("exit code {code}\n{}", finished.stderr);
        for (ending, found) in [(".out.", &finished.stdout), (".says.", &said)] {
            let written = name.replace(".in.", ending);
            let written = if ending == ".says." {
                Path::new(&written).with_extension("txt")
            } else {
                written.into()
            };
            if is_blessing() && found.is_empty() {
                fs::remove_file(&written).ok();
            } else if is_blessing() {
                fs::write(&written, found).unwrap();
            }
            let expected = fs::read_to_string(&written).unwrap_or_default();
            assert_eq!(*found, expected, "{}", written.display());
        }
        assert_eq!(finished.stdout.is_empty(), code != 0, "{name}: all or nothing");
    }
}

#[test]
fn injecting_twice_is_injecting_once() {
    for (path, args) in inputs() {
        let once = run(&path, &args);
        if !once.status.success() {
            continue;
        }
        let args: Vec<_> = args.iter().map(String::as_str).collect();
        let twice = inject(&args, &once.stdout);
        assert!(twice.status.success(), "{}: {}", path.display(), twice.stderr);
        assert_eq!(twice.stdout, once.stdout, "{}", path.display());
    }
}

#[test]
fn files_are_read_like_standard_input_and_mistakes_have_their_exit_code() {
    let from_file = inject(&["--config-map", "s", "--bootstrap-env", "KAFKA", "kinds.in.yaml"], "");
    let text = fs::read_to_string(Path::new(FOLDER).join("kinds.in.yaml")).unwrap();
    let from_stdin = inject(&["--config-map", "s", "--bootstrap-env", "KAFKA", "-"], &text);
    assert_eq!(from_file.stdout, from_stdin.stdout);
    for (args, code) in [
        (&["--config", "missing.yaml"][..], 1),
        (&["--config-map", "s", "missing.yaml"], 1),
        (&[], 2),
        (&["--config-map", "No"], 2),
        (&["--config-map", "s", "--secret", "a=b"], 2),
        (&["--config-map", "s", "--bootstrap-env", "A B"], 2),
    ] {
        let finished = inject(args, "");
        assert_eq!(finished.status.code(), Some(code), "{args:?}: {}", finished.stderr);
        assert!(finished.stdout.is_empty() && !finished.stderr.is_empty());
    }
}

/// What was injected by `schemaward inject`, and what is deployed with the webhook, is what Kubernetes has written down.
#[test]
fn everything_that_is_written_is_what_kubernetes_takes() {
    let Some(python) = Python::with_kubernetes_schemas() else { return };
    let outputs = fs::read_dir(FOLDER).unwrap().map(|entry| entry.unwrap().path());
    let webhook = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/webhook");
    let webhook = fs::read_dir(webhook).unwrap().map(|entry| entry.unwrap().path());
    let webhook = webhook.filter(|path| path.extension().is_some_and(|it| it == "yaml"));
    let outputs = outputs.filter(|path| path.to_str().unwrap().contains(".out."));
    let files: Vec<_> =
        outputs.chain(webhook).map(|path| path.to_str().unwrap().to_owned()).collect();
    assert!(files.len() > 8, "{files:?}");
    let args: Vec<_> = ["1.33"].into_iter().chain(files.iter().map(String::as_str)).collect();
    let lines = python.run("validate_manifests.py", &args, "").json_lines();
    let names = |line: &serde_json::Value| line["file"].as_str().unwrap().to_owned();
    assert!(files.iter().all(|file| lines.iter().any(|line| names(line) == *file)), "{lines:?}");
    let wrong: Vec<_> = lines.iter().filter(|line| !line["error"].is_null()).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
    let sidecars = lines.iter().filter(|line| line["sidecar"] == true).count();
    assert!(sidecars > 10, "native sidecars were seen: {sidecars}");
}

fn defaults() -> Defaults {
    Defaults {
        image: "schemaward:test".to_owned(),
        configuration: Configuration::ConfigMap(Some("schemaward".to_owned())),
        bootstrap: variables("KAFKA"),
        secrets: Vec::new(),
        probes_listen: "0.0.0.0:9465".parse().unwrap(),
        present: Present::Renew,
    }
}

fn value(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

fn any_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        any::<u32>().prop_map(Value::from),
        "[a-z0-9:. ]{0,8}".prop_map(Value::Text),
    ];
    leaf.prop_recursive(3, 24, 4, |inner| {
        let entries = prop::collection::btree_map("[a-h]{1,3}", inner.clone(), 0..4);
        prop_oneof![
            prop::collection::vec(inner, 0..4).prop_map(Value::List),
            entries.prop_map(|entries| Value::Map(entries.into_iter().rev().collect())),
        ]
    })
}

/// A mapping with these entries and those of `more`.
fn with(entries: &str, more: &Value) -> Value {
    let mut all = value(entries);
    for (key, value) in more.entries() {
        if all.get(key).is_none() {
            all.set(key, value.clone());
        }
    }
    all
}

fn text(value: &Value) -> String {
    serde_json::to_string(value).unwrap()
}

proptest! {
    /// Strange fields everywhere, none of which is lost, changed or moved.
    #[test]
    fn everything_but_the_sidecar_and_the_variable_stays_as_it_was(
        top in any_value(), spec in any_value(), pod in any_value(), container in any_value(), other in any_value(),
    ) {
        let mut app = with(r#"{"name":"app","env":[{"name":"A","value":"1"},{"name":"KAFKA","value":"kafka:9092"}]}"#, &container);
        let mut template = with(r#"{"metadata":{"labels":{"x":"y"},"annotations":{"z":"1"}}}"#, &pod);
        let mut pod_spec = with(r#"{"volumes":[{"name":"v"}]}"#, &spec);
        pod_spec.set("containers", Value::List(vec![app.clone(), with(r#"{"name":"b"}"#, &container)]));
        template.set("spec", pod_spec.clone());
        let mut deployment = with(r#"{"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"d"},"spec":{"replicas":1}}"#, &top);
        deployment.at_mut(&["spec"]).unwrap().set("template", template.clone());
        let outcome = kubernetes::inject(vec![other.clone(), deployment.clone(), other.clone()], &defaults());
        prop_assert_eq!(&outcome.errors, &Vec::<String>::new());
        prop_assert_eq!(outcome.injected, 1);
        let [first, mut injected, last] = <[Value; 3]>::try_from(outcome.documents).unwrap();
        prop_assert_eq!([text(&first), text(&last)], [text(&other), text(&other)]);

        // Everything that is new is taken out again; what is left is what was there, in its order.
        let template = injected.at_mut(&["spec", "template"]).unwrap();
        let annotations = template.at_mut(&["metadata", "annotations"]).unwrap();
        prop_assert_eq!(annotations.remove("schemaward.io/listener"), Some(Value::text("127.0.0.1:9092")));
        let sidecars = template.at_mut(&["spec"]).unwrap().remove("initContainers").unwrap();
        prop_assert_eq!(sidecars.items().len(), 1);
        let volumes = template.at_mut(&["spec", "volumes"]).unwrap().items_mut().unwrap();
        let volume = volumes.pop().unwrap();
        prop_assert_eq!(volume.text_at("name"), Some("schemaward-config"));
        app.at_mut(&["env"]).unwrap().items_mut().unwrap()[1].set("value", Value::text("127.0.0.1:9092"));
        deployment.at_mut(&["spec", "template", "spec", "containers"]).unwrap().items_mut().unwrap()[0] = app;
        prop_assert_eq!(text(&injected), text(&deployment));
    }
}

/// Read off the manifest as kubelet would.
struct Pod(Value);

impl Pod {
    fn sidecar(&self) -> &Value {
        &self.0.at(&["spec", "initContainers"]).unwrap().items()[0]
    }

    fn env(container: &Value) -> Vec<(&str, &str)> {
        let env = container.get("env").map(Value::items).unwrap_or_default();
        env.iter().map(|it| (it.text_at("name").unwrap(), it.text_at("value").unwrap())).collect()
    }
}

#[tokio::test]
async fn what_was_injected_runs_and_the_variable_leads_through_it_to_the_brokers() {
    let broker = FakeBroker::start().await;
    let registry = Registry::start().await;
    registry.id(1, USER);
    let host = loopback();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("schemaward.yaml");
    let configuration = format!(
        "listen:\n  bootstrap: {host}:9092\n  broker_ports: 9100-9109\nregistry:\n  url: {}\nadmin:\n  \
         listen: {host}:9464\n  probes_listen: {host}:9465\n",
        registry.url()
    );
    fs::write(&file, &configuration).unwrap();
    let manifest = format!(
        "apiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: app}}\nspec:\n  template:\n    metadata:\n      \
         annotations: {{schemaward.io/bootstrap-env: KAFKA}}\n    spec:\n      containers:\n        - name: app\n          \
         env:\n            - name: KAFKA\n              value: \"{}\"\n",
        broker.address()
    );
    let finished = inject(&["--config", file.to_str().unwrap()], &manifest);
    assert!(finished.status.success(), "{}", finished.stderr);
    let (documents, _) = kubernetes::read(&finished.stdout).unwrap();
    let [config_map, deployment] = <[Value; 2]>::try_from(documents).unwrap();
    let mounted = config_map.at(&["data", "schemaward.yaml"]).and_then(Value::as_text).unwrap();
    assert_eq!(mounted, configuration);
    let pod = Pod(deployment.at(&["spec", "template"]).unwrap().clone());

    let args: Vec<_> = pod.sidecar().get("args").unwrap().items().iter().collect();
    let args: Vec<_> = args.iter().filter_map(|arg| arg.as_text()).collect();
    assert_eq!(args, ["run", "--config", "/etc/schemaward/schemaward.yaml"]);
    let environment = Pod::env(pod.sidecar());
    assert_eq!(environment, [("SCHEMAWARD_UPSTREAM__BOOTSTRAP", broker.address().as_str())]);
    let mut program = Program::run_file(&host, mounted, &environment);
    let probe = pod.sidecar().at(&["startupProbe", "httpGet", "path"]).and_then(Value::as_text);
    let probes = &pod.sidecar().get("ports").unwrap().items()[0];
    assert_eq!(text(probes), r#"{"name":"probes","containerPort":9465,"protocol":"TCP"}"#);
    program.until(probe.unwrap(), |reply| reply.status == 200).await;
    program.until("/readyz", |reply| reply.status == 200).await;

    let app = &pod.0.at(&["spec", "containers"]).unwrap().items()[0];
    let [("KAFKA", bootstrap)] = Pod::env(app)[..] else { panic!("{app:?}") };
    let mut client = Client::connect(bootstrap).await;
    for (record, code) in [(TestRecord::avro("1", ADA), 0), (TestRecord::bare(ADA), 87)] {
        let batch = TestBatch::of([record]).encode();
        let response = client.produce(9, &Produce::to("users", 0, batch)).await;
        assert_eq!(only(&response).error_code, code);
    }
    assert_eq!(broker.received().len(), 1, "past the proxy, the good one alone");
    program.signal("TERM");
    assert_eq!(program.ended().await.code, Some(0));
}

#[test]
fn the_documents_tell_every_annotation() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let source = fs::read_to_string(root.join("src/kubernetes/wishes.rs")).unwrap();
    let document = fs::read_to_string(root.join("docs/injection.md")).unwrap();
    let keys: Vec<_> = source
        .lines()
        .filter_map(|line| line.split_once("&str = \"schemaward.io/")?.1.strip_suffix("\";"))
        .filter(|key| !key.is_empty())
        .collect();
    assert!(keys.len() > 10, "{keys:?}");
    for key in keys {
        let row = format!("| `schemaward.io/{key}` |");
        assert!(document.contains(&row), "docs/injection.md has no {row}");
    }
}

#[test]
fn a_patch_makes_of_the_manifest_what_the_filter_makes_of_it() {
    let text = fs::read_to_string(Path::new(FOLDER).join("older.in.yaml")).unwrap();
    let (documents, _) = kubernetes::read(&text).unwrap();
    let outcome =
        kubernetes::inject(documents.clone(), &Defaults { bootstrap: None, ..defaults() });
    assert_eq!(outcome.errors, Vec::<String>::new());
    let patch = serde_json::to_value(difference(&documents[0], &outcome.documents[0])).unwrap();
    let document = json_patch::apply(&serde_json::to_value(&documents[0]).unwrap(), &patch);
    assert_eq!(document, serde_json::to_value(&outcome.documents[0]).unwrap());
}

const USER: &str = r#"{"type":"record","name":"User","namespace":"example","fields":[
    {"name":"name","type":"string"},{"name":"age","type":"int"}]}"#;
const ADA: &[u8] = b"\x06Ada\x48";
