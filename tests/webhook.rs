//! Promise: `schemaward webhook` gives pods that ask for it their sidecar by a patch that any API server applies, leaves all
//! others alone, says why where it cannot be, and bears whatever comes over the network.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may fail")]

mod support;

use std::{
    fs,
    net::SocketAddr,
    path::Path,
    process::{Child, Command, Stdio},
    sync::Arc,
    time::Duration,
};

use base64::{Engine, engine::general_purpose::STANDARD};
use rustls::ClientConfig;
use schemaward::{
    kubernetes::{self, Configuration, Defaults, OnImpossible, Present, Webhook, WebhookSettings},
    tls::{IdentityFiles, ServerTlsSettings},
};
use serde_json::{Value, json};
use support::{
    certificates::{Authority, Files, client_config},
    http::{self, Reply},
    https, json_patch,
    python::Python,
};
use tokio::{sync::oneshot, task::JoinHandle};

const NAME: &str = "schemaward-webhook.schemaward.svc";

/// A webhook in this process.
struct World {
    address: SocketAddr,
    probes: SocketAddr,
    authority: Authority,
    files: Files,
    client: Arc<ClientConfig>,
    stop: Option<oneshot::Sender<()>>,
    server: JoinHandle<Result<(), kubernetes::WebhookError>>,
}

impl World {
    async fn start(on_impossible: OnImpossible) -> Self {
        Self::start_with(on_impossible, false).await
    }

    async fn start_with(on_impossible: OnImpossible, asks_for_certificates: bool) -> Self {
        let authority = Authority::new("cluster");
        let files = Files::new();
        files.identity("tls", &authority.issue("webhook", &[NAME]));
        let identity =
            IdentityFiles { certificate: files.path("tls.crt"), key: files.path("tls.key") };
        let client_ca = asks_for_certificates.then(|| files.write("ca.crt", &authority.pem()));
        let settings = WebhookSettings {
            listen: "127.0.0.1:0".parse().unwrap(),
            tls: ServerTlsSettings { identity, client_ca },
            probes_listen: Some("127.0.0.1:0".parse().unwrap()),
            defaults: defaults(),
            on_impossible,
            drain_delay: Duration::ZERO,
            grace: Duration::from_secs(60),
        };
        let webhook = Webhook::bind(settings).await.unwrap();
        let (address, probes) = (webhook.address(), webhook.probes_address().unwrap());
        let (stop, stopped) = oneshot::channel();
        let server = tokio::spawn(webhook.serve(async {
            let _ = stopped.await;
        }));
        let client = client_config(&authority, None);
        Self { address, probes, authority, files, client, stop: Some(stop), server }
    }

    /// Sends these bytes as a review.
    async fn post(&self, body: &[u8]) -> Reply {
        self.request("POST /mutate?timeout=5s", "application/json", body).await
    }

    async fn request(&self, line: &str, kind: &str, body: &[u8]) -> Reply {
        let stream = https::connect(self.address, NAME, &self.client).await.unwrap();
        let head = format!(
            "{line} HTTP/1.1\r\nhost: {NAME}\r\nconnection: close\r\ncontent-type: {kind}\r\n\
             content-length: {}\r\n\r\n",
            body.len()
        );
        https::exchange(stream, &head, body).await.unwrap()
    }

    /// The response to a review.
    async fn review(&self, review: &Value) -> Value {
        let reply = self.post(review.to_string().as_bytes()).await;
        assert_eq!(reply.status, 200, "{}", reply.body);
        let answer: Value = serde_json::from_str(&reply.body).unwrap();
        assert_eq!(answer["apiVersion"], "admission.k8s.io/v1");
        assert_eq!(answer["kind"], "AdmissionReview");
        assert_eq!(answer["response"]["uid"], review["request"]["uid"]);
        answer["response"].clone()
    }

    async fn count(&self, outcome: &str) -> u64 {
        let metrics = http::get(&self.probes.to_string(), "/metrics").await.body;
        let line = format!("schemaward_webhook_reviews_total{{outcome=\"{outcome}\"}} ");
        let value = metrics.lines().find_map(|it| it.strip_prefix(&line).map(str::to_owned));
        value.unwrap_or_else(|| panic!("{metrics}")).parse().unwrap()
    }
}

fn defaults() -> Defaults {
    Defaults {
        image: "registry.example.com/schemaward:1.0.0".to_owned(),
        configuration: Configuration::ConfigMap(Some("schemaward".to_owned())),
        bootstrap: None,
        secrets: Vec::new(),
        probes_listen: "0.0.0.0:9465".parse().unwrap(),
        present: Present::Keep,
    }
}

/// A request as an API server of 1.33 sends it.
fn recorded(name: &str) -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/webhook/{name}.json"));
    serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

/// What the API server makes of the pod.
fn patched(review: &Value, response: &Value) -> Value {
    assert_eq!(response["allowed"], true, "{response}");
    assert_eq!(response["patchType"], "JSONPatch");
    let patch = STANDARD.decode(response["patch"].as_str().unwrap()).unwrap();
    let patch: Value = serde_json::from_slice(&patch).unwrap();
    json_patch::apply(&review["request"]["object"], &patch)
}

fn variable<'p>(container: &'p Value, name: &str) -> &'p Value {
    let env = container["env"].as_array().unwrap();
    env.iter().find(|it| it["name"] == name).unwrap_or_else(|| panic!("{container}"))
}

const BROKERS: &str = "KAFKA_BOOTSTRAP_SERVERS";

#[tokio::test]
async fn a_pod_that_asks_for_it_gets_its_sidecar_and_its_variable_leads_there() {
    let world = World::start(OnImpossible::Deny).await;
    for name in ["pod-of-a-replica-set", "pod-dry-run"] {
        let review = recorded(name);
        let old = &review["request"]["object"];
        let response = world.review(&review).await;
        let pod = patched(&review, &response);
        let init = pod["spec"]["initContainers"].as_array().unwrap();
        assert_eq!(init.len(), 2);
        assert_eq!(init[0]["name"], "schemaward");
        assert_eq!(init[0]["restartPolicy"], "Always");
        assert_eq!(init[0]["image"], "registry.example.com/schemaward:1.0.0");
        assert_eq!(
            variable(&init[0], "SCHEMAWARD_UPSTREAM__BOOTSTRAP")["valueFrom"],
            json!({"configMapKeyRef": {"name": "kafka", "key": "brokers"}})
        );
        for container in [&init[1], &pod["spec"]["containers"][0]] {
            let expected = json!({"name": BROKERS, "value": "127.0.0.1:9092"});
            assert_eq!(*variable(container, BROKERS), expected);
        }
        let volumes = pod["spec"]["volumes"].as_array().unwrap();
        assert_eq!(volumes[2]["configMap"]["name"], "schemaward");
        // What else there was is there.
        for (key, value) in old["spec"].as_object().unwrap() {
            if !["containers", "initContainers", "volumes"].contains(&key.as_str()) {
                assert_eq!(pod["spec"][key], *value, "{key}");
            }
        }
        assert_eq!(pod["metadata"]["labels"], old["metadata"]["labels"]);
        assert_eq!(volumes[..2], old["spec"]["volumes"].as_array().unwrap()[..]);
    }
    assert_eq!(world.count("injected").await, 2);
}

#[tokio::test]
async fn the_patch_is_small_and_the_filter_makes_the_same_of_the_pod() {
    let world = World::start(OnImpossible::Deny).await;
    let review = recorded("pod-of-a-replica-set");
    let response = world.review(&review).await;
    let patch = STANDARD.decode(response["patch"].as_str().unwrap()).unwrap();
    let patch: Vec<Value> = serde_json::from_slice(&patch).unwrap();
    let paths: Vec<_> = patch.iter().map(|step| step["path"].as_str().unwrap()).collect();
    assert!(paths.len() <= 8 && paths.contains(&"/spec/initContainers/0"), "{paths:?}");
    let mut pod = review["request"]["object"].clone();
    pod["metadata"].as_object_mut().unwrap().remove("ownerReferences");
    let text = pod.to_string();
    let (documents, _) = kubernetes::read(&text).unwrap();
    let by_the_filter = kubernetes::inject(documents, &defaults());
    assert_eq!(by_the_filter.errors, Vec::<String>::new());
    let mut by_the_patch = patched(&review, &response);
    by_the_patch["metadata"].as_object_mut().unwrap().remove("ownerReferences");
    assert_eq!(serde_json::to_value(&by_the_filter.documents[0]).unwrap(), by_the_patch);
}

/// Another webhook has changed the pod, and this one is asked again (`reinvocationPolicy: IfNeeded`).
#[tokio::test]
async fn asked_again_it_changes_only_what_has_come_since() {
    let world = World::start(OnImpossible::Deny).await;
    let mut review = recorded("pod-of-a-replica-set");
    let mut pod = patched(&review, &world.review(&review).await);
    // What the API server and its own plugins add to every container.
    let sidecar = &mut pod["spec"]["initContainers"][0];
    sidecar["terminationMessagePath"] = "/dev/termination-log".into();
    sidecar["imagePullPolicy"] = "IfNotPresent".into();
    let token =
        json!({"name": "kube-api-access-8xw2q", "readOnly": true, "mountPath": "/var/run/secrets"});
    sidecar["volumeMounts"].as_array_mut().unwrap().push(token);
    review["request"]["object"] = pod.clone();
    let response = world.review(&review).await;
    assert_eq!(response, json!({"uid": review["request"]["uid"], "allowed": true}));
    assert_eq!(world.count("unchanged").await, 1);

    let mut late = pod["spec"]["containers"][0].clone();
    late["name"] = "late".into();
    late["env"] =
        recorded("pod-of-a-replica-set")["request"]["object"]["spec"]["containers"][0]["env"]
            .clone();
    review["request"]["object"]["spec"]["containers"].as_array_mut().unwrap().push(late);
    let pod = patched(&review, &world.review(&review).await);
    assert_eq!(variable(&pod["spec"]["containers"][1], BROKERS)["value"], "127.0.0.1:9092");

    let other =
        json!({"name": "x", "image": "x", "env": [{"name": BROKERS, "value": "other:9092"}]});
    review["request"]["object"]["spec"]["containers"].as_array_mut().unwrap().push(other);
    let response = world.review(&review).await;
    assert_eq!(response["allowed"], false, "{response}");
}

#[tokio::test]
async fn what_is_no_new_pod_or_does_not_ask_is_let_through_unchanged() {
    let world = World::start(OnImpossible::Deny).await;
    let names = ["pod-update", "ephemeral-containers", "deployment", "pod-delete", "pod-binding"];
    let mut reviews: Vec<_> = names.map(recorded).into();
    for (pointer, value) in [
        ("/request/object/metadata/labels/schemaward.io~1inject", json!("false")),
        ("/request/object/metadata/labels", json!({})),
        ("/request/object/metadata/labels", Value::Null),
        ("/request/object/metadata", Value::Null),
        ("/request/object", json!("a pod")),
        ("/request/object", json!([])),
        ("/request/kind", json!({"group": "example.com", "version": "v1", "kind": "Pod"})),
        ("/request/operation", json!(7)),
    ] {
        let mut review = recorded("pod-of-a-replica-set");
        *review.pointer_mut(pointer).unwrap() = value;
        reviews.push(review);
    }
    let mut annotated = recorded("pod-of-a-replica-set");
    annotated["request"]["object"]["metadata"]["annotations"]["schemaward.io/inject"] =
        "false".into();
    reviews.push(annotated);
    for review in &reviews {
        let response = world.review(review).await;
        assert_eq!(response, json!({"uid": review["request"]["uid"], "allowed": true}), "{review}");
    }
    assert_eq!(world.count("not_asked").await, reviews.len() as u64);
}

/// Pods that ask for what cannot be, and a word of the reason.
fn impossible() -> Vec<(Value, &'static str)> {
    let change = |pointer: &str, key: &str, value: Value| {
        let mut review = recorded("pod-of-a-replica-set");
        review.pointer_mut(pointer).unwrap()[key] = value;
        review
    };
    let annotations = "/request/object/metadata/annotations";
    vec![
        (change("/request/object/spec", "hostNetwork", json!(true)), "hostNetwork"),
        (change("/request/object/spec", "containers", json!("none")), "spec.containers"),
        (change("/request/object/spec", "volumes", json!({})), "spec.volumes"),
        (change("/request/object", "spec", json!(1)), "spec"),
        (change(annotations, "schemaward.io/bootstrap-env", json!("BROKERS")), "BROKERS"),
        (change(annotations, "schemaward.io/bootstrap-env", json!(1)), "bootstrap-env"),
        (change(annotations, "schemaward.io/inject", json!("maybe")), "maybe"),
        (change(annotations, "schemaward.io/probes-port", json!("9092")), "9092"),
    ]
}

#[tokio::test]
async fn what_cannot_be_is_denied_with_the_reason_or_let_through_with_a_warning() {
    let deny = World::start(OnImpossible::Deny).await;
    let allow = World::start(OnImpossible::Allow).await;
    let mut asked = 0;
    for (review, word) in impossible() {
        let response = deny.review(&review).await;
        assert_eq!(response["allowed"], false, "{word}");
        asked += 1;
        let message = response["status"]["message"].as_str().unwrap();
        assert!(message.starts_with("schemaward: ") && message.contains(word), "{message}");
        assert_eq!(response["status"]["code"], 422);
        let response = allow.review(&review).await;
        assert_eq!(response["allowed"], true);
        assert!(response.get("patch").is_none());
        let warnings = response["warnings"].as_array().unwrap();
        assert_eq!(warnings.len(), 1);
        assert!(warnings[0].as_str().unwrap().chars().count() <= 256);
    }
    assert_eq!(deny.count("denied").await, asked);
    assert_eq!(allow.count("allowed_without").await, asked);
}

/// Bytes that are no review, and what is answered.
fn hostile() -> Vec<(&'static str, Vec<u8>, &'static [u16])> {
    let good = recorded("pod-of-a-replica-set").to_string();
    let cut = good.as_bytes()[..good.len() / 2].to_vec();
    let twice = good.replacen("{", "{\"kind\":\"AdmissionReview\",", 1).into_bytes();
    let deep = good.replacen("{}", &format!("{}{}", "[".repeat(50_000), "]".repeat(50_000)), 1);
    let many = format!("[{}0]", "0,".repeat(1_900_000));
    let mut wrong = recorded("pod-of-a-replica-set");
    wrong["request"]["uid"] = json!(7);
    let mut without = recorded("pod-of-a-replica-set");
    without.as_object_mut().unwrap().remove("request");
    vec![
        ("nothing", Vec::new(), &[400]),
        ("no JSON", b"\xff\xfe{}".to_vec(), &[400]),
        ("cut", cut, &[400]),
        ("a key twice", twice, &[400]),
        ("deep", deep.into_bytes(), &[400]),
        ("many values", many.into_bytes(), &[400]),
        ("huge", vec![b' '; 8 * 1024 * 1024], &[413]),
        (
            "another version",
            good.replace("admission.k8s.io/v1", "admission.k8s.io/v1beta1").into(),
            &[400],
        ),
        ("a uid that is none", wrong.to_string().into(), &[400]),
        ("no request", without.to_string().into(), &[400]),
        ("two", format!("{good}{good}").into(), &[400]),
        ("a list", b"[]".to_vec(), &[400]),
        ("null", b"null".to_vec(), &[400]),
    ]
}

#[tokio::test]
async fn hostile_bodies_are_refused_and_the_next_review_is_answered() {
    let world = World::start(OnImpossible::Deny).await;
    let mut refused = 0;
    for (what, body, expected) in hostile() {
        let reply = world.post(&body).await;
        assert!(expected.contains(&reply.status), "{what}: {} {}", reply.status, reply.body);
        assert!(reply.body.len() < 1000, "{what}: {}", reply.body);
        refused += 1;
    }
    let review = recorded("pod-of-a-replica-set");
    let text = review.to_string();
    for (line, kind, status) in [
        ("POST /mutate", "text/plain", 415),
        ("GET /mutate", "application/json", 405),
        ("POST /", "application/json", 404),
        ("POST /mutate", "application/json; charset=utf-8", 200),
    ] {
        let reply = world.request(line, kind, text.as_bytes()).await;
        assert_eq!(reply.status, status, "{line} {kind}");
    }
    assert_eq!(world.count("malformed").await, refused + 1);
    assert_eq!(world.count("injected").await, 1);
}

/// Pods that are sound JSON and meant badly: each is answered, in few bytes.
#[tokio::test]
async fn hostile_pods_are_answered_in_few_bytes() {
    let world = World::start(OnImpossible::Deny).await;
    let entry = |name: String, value: String| json!({"name": name, "value": value});
    let chain: Vec<_> = (0..20_000)
        .map(|at| entry(format!("V{at}"), format!("$(V{})", at - 1_i32)))
        .chain([entry(BROKERS.to_owned(), "$(V19999):9092".to_owned())])
        .collect();
    let many: Vec<_> = (0..30_000).map(|at| entry(format!("KAFKA_{at}"), String::new())).collect();
    let container = "/request/object/spec/containers/0";
    let annotations = "/request/object/metadata/annotations";
    let key = "schemaward.io/bootstrap-env";
    let mut keys = serde_json::Map::new();
    keys.extend((0..60_000).map(|at| (format!("x{at}"), Value::Null)));
    keys.insert(
        "containers".to_owned(),
        json!([{"name": "a", "env": [entry(BROKERS.to_owned(), "k:1".to_owned())]}]),
    );
    let long = "x".repeat(1_000_000);
    let table = [
        (container, "env", json!(chain)),
        (container, "env", json!(many)),
        (container, "env", json!([entry(BROKERS.to_owned(), "$(A)".repeat(200_000))])),
        (container, "env", json!([entry(BROKERS.to_owned(), "a,".repeat(30_000))])),
        (container, "name", json!(long)),
        (annotations, key, json!("A,".repeat(100_000))),
        (annotations, "schemaward.io/resources", json!("[".repeat(100_000))),
        ("/request/object", "spec", Value::Object(keys)),
    ];
    for (pointer, name, value) in table {
        let mut review = recorded("pod-of-a-replica-set");
        review["request"]["object"]["spec"].as_object_mut().unwrap().remove("initContainers");
        review.pointer_mut(pointer).unwrap()[name] = value;
        if pointer == container {
            review["request"]["object"]["spec"]["containers"].as_array_mut().unwrap().push(
                json!({"name": "b", "env": [entry(BROKERS.to_owned(), "other:9092".to_owned())]}),
            );
        }
        let response = world.review(&review).await.to_string();
        assert!(response.len() < 10_000, "{name}: {} bytes", response.len());
    }
}

#[tokio::test]
async fn bodies_that_do_not_come_hold_up_nobody_for_long() {
    let world = World::start(OnImpossible::Deny).await;
    let mut waiting = Vec::new();
    for _ in 0..16 {
        let mut stream = https::connect(world.address, NAME, &world.client).await.unwrap();
        let head = format!(
            "POST /mutate HTTP/1.1\r\nhost: {NAME}\r\ncontent-type: application/json\r\n\
             content-length: 1000\r\n\r\n{{"
        );
        tokio::io::AsyncWriteExt::write_all(&mut stream, head.as_bytes()).await.unwrap();
        waiting.push(stream);
    }
    let review = recorded("pod-of-a-replica-set");
    assert_eq!(world.review(&review).await["allowed"], true);
    // Each is told in the end.
    let last = waiting.pop().unwrap();
    assert_eq!(https::exchange(last, "", b"").await.unwrap().status, 408);
}

#[tokio::test]
async fn a_new_certificate_is_taken_up_and_a_stranger_is_not_let_in() {
    let world = World::start(OnImpossible::Deny).await;
    let next = Authority::new("next");
    let trusting_next = client_config(&next, None);
    assert!(https::connect(world.address, NAME, &trusting_next).await.is_err());
    world.files.identity("tls", &next.issue("webhook", &[NAME]));
    while https::connect(world.address, NAME, &trusting_next).await.is_err() {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(https::connect(world.address, NAME, &world.client).await.is_err());

    let world = World::start_with(OnImpossible::Deny, true).await;
    let known = client_config(&world.authority, Some(&world.authority.issue("apiserver", &[])));
    let head = format!("GET /livez HTTP/1.1\r\nhost: {NAME}\r\nconnection: close\r\n\r\n");
    let stream = https::connect(world.address, NAME, &known).await.unwrap();
    assert_eq!(https::exchange(stream, &head, b"").await.unwrap().status, 200);
    // With TLS 1.3 a server says only after the handshake that it does not accept somebody.
    if let Ok(stream) = https::connect(world.address, NAME, &world.client).await {
        assert!(https::exchange(stream, &head, b"").await.is_err());
    }
}

#[tokio::test]
async fn told_to_stop_it_ends_and_until_then_it_is_ready() {
    let mut world = World::start(OnImpossible::Deny).await;
    let probes = world.probes.to_string();
    for path in ["/livez", "/readyz"] {
        assert_eq!(http::get(&probes, path).await.status, 200);
    }
    world.stop.take().unwrap().send(()).unwrap();
    world.server.await.unwrap().unwrap();
    assert!(http::try_get(&probes, "/livez").await.is_none());
}

/// The command, on a port that the system chooses; its log says which.
fn command(folder: &Path, more: &[&str]) -> Child {
    Command::new(env!("CARGO_BIN_EXE_schemaward"))
        .args(["webhook", "--listen", "127.0.0.1:0", "--probes-listen", "127.0.0.1:0"])
        .args(["--tls-certificate", "tls.crt", "--tls-key", "tls.key", "--log-format", "json"])
        .args(more)
        .current_dir(folder)
        .env_clear()
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

#[tokio::test]
async fn the_command_serves_takes_requests_while_it_drains_and_ends_cleanly() {
    use std::io::{BufRead, BufReader};
    let (authority, files) = (Authority::new("cluster"), Files::new());
    let mut missing = command(files.folder(), &[]);
    assert_eq!(missing.wait().unwrap().code(), Some(1));
    files.identity("tls", &authority.issue("webhook", &[NAME]));
    let mut child = command(files.folder(), &["--drain-delay", "1"]);
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let mut until = |message: &str| -> Value {
        loop {
            let line: Value = serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap();
            if line["message"] == message {
                return line;
            }
        }
    };
    let address = until("the webhook listens")["address"].as_str().unwrap().parse().unwrap();
    let signalled = Command::new("kill").args(["-s", "TERM", &child.id().to_string()]).status();
    assert!(signalled.unwrap().success());
    until("draining");
    let client = client_config(&authority, None);
    let stream = https::connect(address, NAME, &client).await.unwrap();
    let head = format!("GET /readyz HTTP/1.1\r\nhost: {NAME}\r\nconnection: close\r\n\r\n");
    let reply = https::exchange(stream, &head, b"").await.unwrap();
    assert_eq!((reply.status, reply.body.as_str()), (503, "not ready: draining\n"));
    until("stopped");
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

/// Somebody else's JSON Patch, and Kubernetes' own schema of a pod.
#[tokio::test]
async fn others_apply_the_patch_and_get_a_pod() {
    let Some(python) = Python::with_kubernetes_schemas() else { return };
    let world = World::start(OnImpossible::Deny).await;
    let review = recorded("pod-of-a-replica-set");
    let response = world.review(&review).await;
    let patch = STANDARD.decode(response["patch"].as_str().unwrap()).unwrap();
    let patch: Value = serde_json::from_slice(&patch).unwrap();
    let input = json!({"document": review["request"]["object"], "patch": patch}).to_string();
    let lines = tokio::task::spawn_blocking(move || {
        python.run("apply_patch.py", &["1.33"], &input).json_lines()
    });
    let lines = lines.await.unwrap();
    assert_eq!(lines[0]["error"], Value::Null);
    assert_eq!(lines[0]["document"], patched(&review, &response));
}
