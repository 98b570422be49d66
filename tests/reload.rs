//! Promise: the configuration is read again when the process is told to, when the file changes and when the admin listener is
//! asked; what is new counts for the next request on connections that stay open; what is faulty changes nothing; and what needs
//! a restart says so.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may fail")]

use std::{fs, os::unix::fs::symlink, path::Path};

use kafka_protocol::messages::{ApiVersionsRequest, ProduceResponse};
use serde_json::{Value, json};
use support::{
    batch_builder::{TestBatch, TestRecord},
    binary::Program,
    broker::FakeBroker,
    certificates::{self, Authority, Files},
    client::{Client, Produce, only},
    http::{self, Reply},
    proxy::loopback,
    registry::{Mood, Registry},
    sidecar::{USER, user},
    wait::patiently,
};

mod support;

const ACCEPTED: i16 = 0;
const TOO_LARGE: i16 = 10;
const UNKNOWN: i16 = 19;
const REFUSED: i16 = 87;
const OFF: &str = "rules: [{topics: [users], mode: \"off\"}]\n";
/// What a schema says that has nothing in common with [`USER`].
const NUMBER: &str = r#"{"type":"record","name":"Number","fields":[{"name":"n","type":"long"}]}"#;

/// The program with its file, between a broker that says yes to everything and a registry.
struct World {
    broker: FakeBroker,
    registry: Registry,
    host: String,
    program: Program,
}

impl World {
    async fn new(more: &str) -> Self {
        Self::with(more, &[]).await
    }

    async fn with(more: &str, environment: &[(&str, &str)]) -> Self {
        let (broker, registry, host) =
            (FakeBroker::start().await, Registry::start().await, loopback());
        registry.id(1, USER);
        let file = file(&host, &broker.address(), &registry.url(), more);
        let program = Program::run_file(&host, &file, environment).ready().await;
        Self { broker, registry, host, program }
    }

    /// The file with other lines behind what is the same in all.
    fn file(&self, more: &str) -> String {
        file(&self.host, &self.broker.address(), &self.registry.url(), more)
    }

    async fn client(&self) -> Client {
        Client::connect(&self.program.bootstrap()).await
    }

    async fn metric(&self, line: &str) -> f64 {
        let scrape = http::get(&self.program.admin(), "/metrics").await.body;
        let found = scrape.lines().find_map(|candidate| candidate.strip_prefix(line));
        found.and_then(|rest| rest.trim().parse().ok()).unwrap_or(-1.0)
    }

    async fn reloads(&self) -> (f64, f64) {
        let of = |outcome| format!("schemaward_config_reloads_total{{outcome=\"{outcome}\"}}");
        (self.metric(&of("applied")).await, self.metric(&of("failed")).await)
    }

    /// What the status says about the last reload.
    async fn told(&self) -> Value {
        let status = http::get(&self.program.admin(), "/status").await.body;
        serde_json::from_str::<Value>(&status).unwrap()["reload"].take()
    }

    /// Waits until so many reloads have gone well, and so many have not.
    async fn until_reloaded(&self, applied: f64, failed: f64) -> Value {
        patiently("the reload", async {
            while self.reloads().await != (applied, failed) {
                tokio::time::sleep(std::time::Duration::from_millis(5)).await;
            }
        })
        .await;
        self.told().await
    }

    /// Has the file read again with other lines, and waits until it was.
    async fn reload(&self, more: &str) -> Value {
        self.reload_file(&self.file(more)).await
    }

    async fn reload_file(&self, file: &str) -> Value {
        self.program.rewrite(file);
        self.signal().await
    }

    /// Sends SIGHUP and waits for what comes of it, whether the file was noticed before or not.
    async fn signal(&self) -> Value {
        let since = self.reloads().await;
        self.program.signal("HUP");
        patiently("the reload", async {
            loop {
                // In this order: what is counted was told before.
                let counted = self.reloads().await != since;
                let told = self.told().await;
                if counted && told["asked_by"] == "signal" {
                    return told;
                }
                tokio::time::sleep(std::time::Duration::from_millis(5)).await;
            }
        })
        .await
    }

    /// All is as it was: nobody had to connect again.
    async fn assert_connections(&self, expected: f64) {
        assert_eq!(self.metric("schemaward_connections_total ").await, expected);
        assert_eq!(self.metric("schemaward_connections ").await, expected);
    }
}

fn file(host: &str, broker: &str, registry: &str, more: &str) -> String {
    format!(
        "listen: {{bootstrap: '{host}:9092', broker_ports: 9100-9109}}\n\
         upstream: {{bootstrap: ['{broker}']}}\n{}\n{more}",
        with_defaults(host, registry, more),
    )
}

/// The sections that `more` may bring itself.
fn with_defaults(host: &str, registry: &str, more: &str) -> String {
    let mut sections = String::new();
    if !more.contains("registry:") {
        sections += &format!("registry: {{url: '{registry}'}}\n");
    }
    if !more.contains("admin:") {
        sections += &format!("admin: {{listen: '{host}:9464'}}\n");
    }
    sections
}

async fn produce(client: &mut Client, record: TestRecord) -> i16 {
    let batch = TestBatch::of([record]).encode();
    let answer = client.produce(9, &Produce::to("users", 0, batch)).await;
    only(&answer).error_code
}

fn good() -> TestRecord {
    TestRecord::avro("1", user("Ada"))
}

fn bad() -> TestRecord {
    TestRecord::bare("no metadata")
}

async fn post(world: &World, headers: &str) -> Reply {
    http::ask(&world.program.admin(), "POST", "/reload", headers).await.unwrap()
}

fn json_of(reply: &Reply) -> Value {
    serde_json::from_str(&reply.body).unwrap_or_else(|error| panic!("{error}: {}", reply.body))
}

#[tokio::test]
async fn new_rules_count_for_the_next_request_however_the_reload_is_asked_for() {
    for asked_by in ["signal", "file", "request"] {
        let world = World::new("").await;
        let admin = format!("admin: {{listen: '{}:9464', reload: true}}\n", world.host);
        let allowed = |rules: &str| world.file(&format!("{admin}{rules}"));
        world.reload_file(&allowed("")).await;
        let mut client = world.client().await;
        assert_eq!(produce(&mut client, bad()).await, REFUSED);
        for (rules, expected) in [(OFF, ACCEPTED), ("", REFUSED), (OFF, ACCEPTED)] {
            let before = world.reloads().await.0;
            world.program.rewrite(&allowed(rules));
            let told = match asked_by {
                "signal" => world.signal().await,
                "request" => json_of(&post(&world, "").await),
                _ => world.until_reloaded(before + 1.0, 0.0).await,
            };
            assert_eq!(told["outcome"], "applied", "{told}");
            assert_eq!(told["asked_by"], asked_by);
            assert!(told["unix_seconds"].as_u64().unwrap() > 0);
            assert_eq!(told, world.told().await);
            assert_eq!(produce(&mut client, bad()).await, expected, "{asked_by} {rules}");
        }
        assert_eq!(world.broker.received().len(), 2);
        world.assert_connections(1.0).await;
    }
}

#[tokio::test]
async fn a_config_map_that_is_swapped_is_taken_up() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    // kubelet: files are links into ..data, which is a link to a folder, and is swapped.
    let lay = |name: &str, text: &str| {
        fs::create_dir(at(name)).unwrap();
        fs::write(at(name).join("schemaward.yaml"), text).unwrap();
        symlink(name, at("..new")).unwrap();
        fs::rename(at("..new"), at("..data")).unwrap();
    };
    let (broker, registry, host) = (FakeBroker::start().await, Registry::start().await, loopback());
    let text = |more: &str| file(&host, &broker.address(), &registry.url(), more);
    lay("..first", &text(""));
    symlink(Path::new("..data").join("schemaward.yaml"), at("schemaward.yaml")).unwrap();
    let program = Program::run_at(&host, &at("schemaward.yaml"), &[]).ready().await;
    let world = World { broker, registry, host: host.clone(), program };
    let mut client = world.client().await;
    assert_eq!(produce(&mut client, bad()).await, REFUSED);
    lay("..second", &world.file(OFF));
    assert_eq!(world.until_reloaded(1.0, 0.0).await["changed"], json!(["rules"]));
    assert_eq!(produce(&mut client, bad()).await, ACCEPTED);
    lay("..third", &world.file("rules: [{topics: []}]\n"));
    world.until_reloaded(1.0, 1.0).await;
    assert_eq!(produce(&mut client, bad()).await, ACCEPTED);
    lay("..fourth", &world.file(""));
    world.until_reloaded(2.0, 1.0).await;
    assert_eq!(produce(&mut client, bad()).await, REFUSED);
    world.assert_connections(1.0).await;
}

#[tokio::test]
async fn a_faulty_file_leaves_the_old_one_in_force_loudly_and_a_repaired_one_is_taken_up() {
    let world = World::new("").await;
    assert_eq!(world.reloads().await, (0.0, 0.0), "they are there from the start");
    assert_eq!(world.told().await["outcome"], Value::Null);
    let mut client = world.client().await;
    let faulty = world.file("rules: [{topics: [users], mode: of}]\nlimits: {max_recrd_bytes: 1}\n");
    world.program.rewrite(&faulty);
    let told = world.until_reloaded(0.0, 1.0).await;
    assert_eq!((&told["outcome"], &told["asked_by"]), (&json!("failed"), &json!("file")));
    let mistakes: Vec<_> = told["mistakes"].as_array().unwrap().iter().collect();
    assert_eq!(mistakes.len(), 2, "{told}");
    for (mistake, expected) in
        mistakes.iter().zip(["schemaward.yaml:6: rules[0].mode: ", "schemaward.yaml:7: limits"])
    {
        let mistake = mistake.as_str().unwrap();
        assert!(mistake.contains(expected), "{mistake}");
        assert!(world.program.said().contains(mistake), "{}", world.program.said());
    }
    assert!(world.program.said().contains("the old one stays in force"));
    assert_eq!(produce(&mut client, bad()).await, REFUSED);
    // Nobody hears of the same mistakes twice by himself, but whoever asks does.
    let told = world.signal().await;
    assert_eq!((&told["outcome"], world.reloads().await), (&json!("failed"), (0.0, 2.0)));
    world.program.rewrite("nonsense: [");
    assert_eq!(world.until_reloaded(0.0, 3.0).await["mistakes"].as_array().unwrap().len(), 1);
    world.program.rewrite(&world.file(OFF));
    let told = world.until_reloaded(1.0, 3.0).await;
    assert_eq!((&told["outcome"], &told["mistakes"]), (&json!("applied"), &json!([])));
    assert_eq!(produce(&mut client, bad()).await, ACCEPTED);
    world.assert_connections(1.0).await;
}

#[tokio::test]
async fn a_file_that_is_named_and_comes_later_is_taken_up_when_it_is_there() {
    let world = World::new("").await;
    let files = Files::new();
    let token = files.path("token");
    let more = format!(
        "admin: {{listen: '{}:9464', token_file: '{}'}}\n{OFF}",
        world.host,
        token.display()
    );
    world.program.rewrite(&world.file(&more));
    let told = world.until_reloaded(0.0, 1.0).await;
    assert!(told["mistakes"][0].as_str().unwrap().contains("admin.token_file"), "{told}");
    let mut client = world.client().await;
    assert_eq!(produce(&mut client, bad()).await, REFUSED);
    files.write("token", "secret");
    patiently("the rules", async { while produce(&mut client, bad()).await != ACCEPTED {} }).await;
    patiently("the token", async {
        while http::get(&world.program.admin(), "/status").await.status != 401 {}
    })
    .await;
}

#[tokio::test]
async fn what_needs_a_restart_is_named_and_the_rest_takes_effect() {
    let world = World::new("").await;
    let mut client = world.client().await;
    let text = world
        .file(&format!(
            "admin: {{listen: '{0}:9465', reload: true}}\nlog: {{format: json, level: warn}}\n{OFF}",
            world.host
        ))
        .replace("broker_ports: 9100-9109", "broker_ports: 9200-9209, max_connections: 5");
    let told = world.reload_file(&text).await;
    let waiting = ["listen.broker_ports", "admin.listen", "admin.reload", "log.format"];
    assert_eq!(told["outcome"], "applied");
    assert_eq!(told["needs_restart"], json!(waiting), "{told}");
    assert_eq!(produce(&mut client, bad()).await, ACCEPTED);
    for key in waiting {
        let line = format!("{key} has changed in the file and needs a restart");
        assert!(world.program.said().contains(&line), "{}", world.program.said());
    }
    assert_eq!(post(&world, "").await.status, 403, "the admin section is as it was");
    // It is said as long as it is so.
    assert_eq!(world.reload_file(&text).await["needs_restart"], json!(waiting));
    assert_eq!(world.reload("").await["needs_restart"], json!([]));
    assert_eq!(produce(&mut client, bad()).await, REFUSED);
    world.assert_connections(1.0).await;
}

#[tokio::test]
async fn who_may_ask_for_a_reload_at_the_admin_listener_is_configured() {
    let world = World::new("").await;
    let admin = |more: &str| format!("admin: {{listen: '{}:9464'{more}}}\n", world.host);
    assert_eq!(post(&world, "").await.status, 403, "off by default");
    world.reload(&admin(", reload: true")).await;
    world.program.rewrite(&world.file(&format!("{}{OFF}", admin(", reload: true"))));
    let reply = post(&world, "").await;
    assert_eq!((reply.status, &json_of(&reply)["outcome"]), (200, &json!("applied")));
    assert_eq!(http::get(&world.program.admin(), "/reload").await.status, 405);
    assert_eq!(post(&world, "sec-fetch-site: cross-site\r\n").await.status, 403);
    assert_eq!(post(&world, "sec-fetch-site: same-origin\r\n").await.status, 200);
    world.program.rewrite("rules: 7");
    let reply = post(&world, "").await;
    assert_eq!((reply.status, &json_of(&reply)["outcome"]), (422, &json!("failed")));
    let files = Files::new();
    let token = files.write("token", "secret").display().to_string();
    let more = admin(&format!(", reload: true, token_file: '{token}'"));
    world.program.rewrite(&world.file(&more));
    assert_eq!(post(&world, "").await.status, 200);
    assert_eq!(post(&world, "").await.status, 401, "the token is asked for from now on");
    assert_eq!(post(&world, "authorization: Bearer wrong\r\n").await.status, 401);
    let other = files.write("other", "word").display().to_string();
    world.program.rewrite(&world.file(&more.replace(&token, &other)));
    assert_eq!(post(&world, "authorization: Bearer secret\r\n").await.status, 200);
    assert_eq!(post(&world, "authorization: Bearer secret\r\n").await.status, 401);
    world.program.rewrite(&world.file(&admin("")));
    assert_eq!(post(&world, "authorization: Bearer word\r\n").await.status, 200);
    assert_eq!(post(&world, "").await.status, 403);
}

#[tokio::test]
async fn the_environment_stands_above_the_file_at_a_reload_too() {
    let world = World::with("", &[("SCHEMAWARD_DEFAULT_RULE__MODE", "observe")]).await;
    let mut client = world.client().await;
    assert_eq!(produce(&mut client, bad()).await, ACCEPTED);
    let told = world.reload("default_rule: {mode: enforce, tombstones: reject}\n").await;
    assert_eq!(told["changed"], json!(["default_rule.tombstones"]));
    assert_eq!(produce(&mut client, bad()).await, ACCEPTED);
}

#[tokio::test]
async fn a_schema_that_is_allowed_no_more_is_refused_on_an_open_connection_and_the_other_way_round()
{
    let world = World::new("").await;
    let elsewhere = Registry::start().await;
    let url = elsewhere.document("user.avsc", USER);
    let mut client = world.client().await;
    let allow = |globs: &str| format!("default_rule: {{allow_schemas: [{globs}]}}\n");
    let origins =
        |allow: &str| format!("registry: {{url: '{}', allow: [{allow}]}}\n", world.registry.url());
    let other = format!("'{}'", elsewhere.url());
    for (more, of_registry, of_document) in [
        (allow(""), ACCEPTED, REFUSED),
        (allow("'7'"), REFUSED, REFUSED),
        (allow("'7', '1'"), ACCEPTED, REFUSED),
        (origins(&other), ACCEPTED, ACCEPTED),
        (origins(&other) + &allow("'http://*'"), ACCEPTED, ACCEPTED),
        (origins(&other) + &allow("'*/user.avsc'"), REFUSED, ACCEPTED),
        (origins(""), ACCEPTED, REFUSED),
    ] {
        assert_eq!(world.reload(&more).await["outcome"], "applied");
        for _ in 0..2 {
            assert_eq!(produce(&mut client, good()).await, of_registry, "{more}");
            let document = TestRecord::avro(&url, user("Ada"));
            assert_eq!(produce(&mut client, document).await, of_document, "{more}");
        }
    }
    world.assert_connections(1.0).await;
}

#[tokio::test]
async fn schemas_stay_known_unless_another_registry_is_asked() {
    let world = World::new("").await;
    let other = Registry::start().await;
    other.id(1, NUMBER);
    let mut client = world.client().await;
    assert_eq!(produce(&mut client, good()).await, ACCEPTED);
    let asked = world.registry.requests().len();
    world.registry.mood(Mood::Status(503));
    let url = world.registry.url();
    for more in [
        "limits: {max_schema_bytes: 2MiB}\n".to_owned(),
        "metadata: {schema_id: other}\n".to_owned(),
        format!("registry: {{url: '{url}', request_timeout: 2s, warm_up: [x/y]}}\n"),
        format!("registry: {{url: '{url}', cache: {{max_entries: 100, document_ttl: 1h}}}}\n"),
    ] {
        assert_eq!(world.reload(&more).await["outcome"], "applied", "{more}");
        let renamed = TestRecord::bare(user("Ada"))
            .header("content-type", "avro")
            .header(if more.contains("other") { "other" } else { "schema-id" }, "1");
        assert_eq!(produce(&mut client, renamed).await, ACCEPTED, "{more}");
    }
    let about_it = world.registry.requests().into_iter().skip(asked);
    assert_eq!(about_it.filter(|path| path.ends_with("/1")).count(), 0);
    // The same bytes mean something else there.
    world.reload(&format!("registry: {{url: '{}'}}\n", other.url())).await;
    assert_eq!(produce(&mut client, good()).await, REFUSED);
    assert_eq!(produce(&mut client, TestRecord::avro("1", [84])).await, ACCEPTED);
    assert_eq!(world.metric("schemaward_schema_cache_entries ").await, 1.0);
    // What was known of the first one is gone: it says nothing now.
    world.reload("limits: {lookup_deadline: 1s}\n").await;
    assert_eq!(produce(&mut client, good()).await, UNKNOWN);
    world.assert_connections(1.0).await;
}

#[tokio::test]
async fn new_credentials_are_shown_to_a_registry_and_what_it_said_to_the_old_ones_stays() {
    let world = World::new("").await;
    let files = Files::new();
    let url = world.registry.url();
    for id in 2..=4 {
        world.registry.id(id, USER);
    }
    let mut client = world.client().await;
    for (name, id, expected) in [("one", "2", "Bearer one"), ("two", "3", "Bearer two")] {
        let token = files.write(name, name).display().to_string();
        let told =
            world.reload(&format!("registry: {{url: '{url}', token_file: '{token}'}}\n")).await;
        assert_eq!(told["changed"], json!(["registry.token_file"]));
        for _ in 0..2 {
            let record = TestRecord::avro(id, user("Ada"));
            assert_eq!(produce(&mut client, record).await, ACCEPTED);
            assert_eq!(produce(&mut client, TestRecord::avro("2", user("Ada"))).await, ACCEPTED);
        }
        assert_eq!(world.registry.authorizations().last().unwrap(), expected);
    }
    assert_eq!(world.registry.requests(), ["/schemas/ids/2", "/schemas/ids/3"]);
    let told = world
        .reload(&format!("registry: {{url: '{url}', token_file: '{}'}}\n", "/nowhere/token"))
        .await;
    assert!(told["mistakes"][0].as_str().unwrap().contains("/nowhere/token"), "{told}");
    assert_eq!(produce(&mut client, TestRecord::avro("4", user("Ada"))).await, ACCEPTED);
    assert_eq!(world.registry.authorizations().last().unwrap(), "Bearer two");
}

#[tokio::test]
async fn a_request_is_judged_to_its_end_by_what_was_in_force_when_it_came() {
    let world = World::new("limits: {lookup_deadline: 1m}\n").await;
    world.registry.mood(Mood::Silent);
    let (mut waiting, mut other) = (world.client().await, world.client().await);
    let torn = || TestRecord::avro("1", &user("Ada")[1..]);
    let batch = TestBatch::of([torn()]).encode();
    waiting.send(9, &Produce::to("users", 0, batch).request(9)).await;
    patiently("the look-up", async {
        while world.registry.requests().is_empty() {
            tokio::time::sleep(std::time::Duration::from_millis(2)).await;
        }
    })
    .await;
    world.reload(&format!("{OFF}limits: {{lookup_deadline: 1m}}\n")).await;
    assert_eq!(produce(&mut other, torn()).await, ACCEPTED, "by the new rules");
    world.registry.mood(Mood::Well);
    let (_, answer) = waiting.receive::<ProduceResponse>(9).await.unwrap();
    assert_eq!(only(&answer).error_code, REFUSED, "by the old ones");
    assert_eq!(produce(&mut waiting, torn()).await, ACCEPTED);
    assert_eq!(world.broker.received().len(), 2);
}

#[tokio::test]
async fn new_limits_count_for_the_next_request_on_an_open_connection() {
    let world = World::new("").await;
    let mut client = world.client().await;
    let large = || TestRecord::avro("1", user(&"x".repeat(2_000)));
    assert_eq!(produce(&mut client, large()).await, ACCEPTED);
    world.reload("limits: {max_record_bytes: 1KiB, max_decompressed_bytes: 1KiB}\n").await;
    assert_eq!(produce(&mut client, large()).await, TOO_LARGE);
    assert_eq!(produce(&mut client, good()).await, ACCEPTED);
    world.reload("limits: {max_request_bytes: 1KiB, memory_budget: 32MiB}\n").await;
    let told = http::get(&world.program.admin(), "/status").await.body;
    let told: Value = serde_json::from_str(&told).unwrap();
    assert_eq!(told["memory_budget"]["bytes"], 32 * 1024 * 1024);
    assert_eq!(produce(&mut client, good()).await, ACCEPTED);
    world.assert_connections(1.0).await;
    let batch = TestBatch::of([large()]).encode();
    client.send(9, &Produce::to("users", 0, batch).request(9)).await;
    assert!(patiently("the end", client.closed()).await, "over the size of any request");
    let text = world.file("").replace("9100-9109", "9100-9109, max_connections: 1");
    world.reload_file(&text).await;
    let mut first = world.client().await;
    assert_eq!(produce(&mut first, large()).await, ACCEPTED);
    let mut second = world.client().await;
    assert!(patiently("the end", second.closed()).await, "one is enough");
}

#[tokio::test]
async fn new_brokers_are_for_new_connections() {
    let world = World::new("").await;
    let other = FakeBroker::start().await;
    let mut open = world.client().await;
    assert_eq!(produce(&mut open, good()).await, ACCEPTED);
    let text = world.file("").replace(&world.broker.address(), &other.address());
    assert_eq!(world.reload_file(&text).await["changed"], json!(["upstream.bootstrap"]));
    assert_eq!(produce(&mut open, good()).await, ACCEPTED);
    assert_eq!(produce(&mut world.client().await, good()).await, ACCEPTED);
    assert_eq!((world.broker.received().len(), other.received().len()), (2, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn another_certificate_is_shown_to_new_connections_and_open_ones_go_on() {
    let (broker, registry, host) = (FakeBroker::start().await, Registry::start().await, loopback());
    let (files, first, second) = (Files::new(), Authority::new("first"), Authority::new("second"));
    files.identity("first", &first.issue("first", &[&host]));
    files.identity("second", &second.issue("second", &[&host]));
    let text = |name: &str| {
        let path = |end: &str| files.path(&format!("{name}.{end}")).display().to_string();
        let tls = format!("tls: {{certificate: '{}', key: '{}'}}", path("crt"), path("key"));
        file(&host, &broker.address(), &registry.url(), "")
            .replace("9100-9109", &format!("9100-9109, {tls}"))
    };
    let program = Program::run_file(&host, &text("first"), &[]).ready().await;
    let (text, address) = (text("second"), program.bootstrap());
    let world = World { broker, registry, host: host.clone(), program };
    let [trusts_first, trusts_second] =
        [&first, &second].map(|authority| certificates::client_config(authority, None));
    let versions = ApiVersionsRequest::default();
    let mut open = certificates::connect(&address, &trusts_first).unwrap();
    open.call(&versions, 3).unwrap();
    let told = world.reload_file(&text).await;
    assert_eq!(told["changed"], json!(["listen.tls.certificate", "listen.tls.key"]));
    open.call(&versions, 3).expect("open connections go on");
    let admits = |config| {
        let client = certificates::connect(&address, config);
        client.is_ok_and(|mut client| client.call(&versions, 3).is_ok())
    };
    assert!(admits(&trusts_second) && !admits(&trusts_first));
    // Its files are looked after like those that were there at start.
    files.identity("second", &first.issue("renewed", &[&host]));
    patiently("the renewed certificate", async {
        while !admits(&trusts_first) {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    })
    .await;
    open.call(&versions, 3).expect("open connections go on");
}

#[tokio::test]
async fn the_level_of_the_log_changes() {
    let world = World::new("").await;
    let lines = || world.program.said().lines().filter(|line| line.contains("DEBUG")).count();
    world.client().await;
    assert_eq!(lines(), 0);
    world.reload("log: {level: debug}\n").await;
    let mut client = world.client().await;
    assert_eq!(produce(&mut client, good()).await, ACCEPTED);
    drop(client);
    support::wait::until("details are written", || lines() > 0).await;
    world.reload("log: {level: error}\n").await;
    let before = world.program.said().len();
    world.reload("log: {level: error}\nrules: []\n").await;
    assert!(!world.program.said()[before..].contains("INFO"));
}
