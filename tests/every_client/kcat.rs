//! kcat, as administrators use it by hand: it produces, is told of refusals, reads alone and in a group, and lists brokers.

use std::collections::BTreeSet;
use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use super::support::batch::{Batch, Codec};
use super::support::process::{self, Finished};
use super::support::sidecar::user;
use super::support::{log_reader, require};
use super::{World, users};

const HEADERS: [&str; 4] = ["-H", "content-type=avro", "-H", "schema-id=1"];

#[test]
#[ignore = "long: scripts/full runs it"]
fn kcat_produces_consumes_and_lists_as_it_does_without_the_proxy() {
    let installed = require::kcat();
    let found = require::or_skip_unless(&["SCHEMAWARD_REQUIRE_KCAT"], &installed);
    let (Some(()), Some(world)) = (found, World::start()) else { return };
    let topic = "kcat";
    world.create_topic(topic, 6);
    for (at, (name, codec)) in Codec::NAMED.into_iter().enumerate() {
        // Long enough that it is compressed at all.
        let sent = "x".repeat(60);
        let partition = at.to_string();
        let produce = ["-P", "-t", topic, "-p", &partition, "-z", name];
        let finished = kcat(&world, &[&produce[..], &HEADERS].concat(), &line(&user(&sent)));
        assert!(finished.status.success(), "{name}: {finished:?}");
        let batches = log_reader::stored_batches_raw(&world.direct(), topic, at as i32);
        let [batch] = &batches[..] else { panic!("{name}: {} batches", batches.len()) };
        assert_eq!(Batch::from_bytes(batch).codec, codec, "it finds the codec offered");
        assert_eq!(world.stored(topic, at as i32), users(&[sent]), "{name}");
    }

    let produce = ["-P", "-t", topic, "-p", "5"];
    let refused = kcat(&world, &[&produce[..], &HEADERS].concat(), &line(&user("Carl")[..5]));
    assert!(!refused.status.success(), "{refused:?}");
    let said = "Delivery failed for message: Broker: Broker failed to validate record";
    assert!(refused.stderr.contains(said), "{refused:?}");
    let without = kcat(&world, &produce, &line(&user("Dora")));
    assert!(without.stderr.contains(said), "{without:?}");
    assert_eq!(world.stored(topic, 5), []);
    assert_eq!(world.sidecar.rejected(topic, "missing_content_type"), 1.0);

    let expected = line(&user(&"x".repeat(60))).repeat(5);
    let alone = kcat(&world, &["-C", "-t", topic, "-o", "beginning", "-e", "-q"], "");
    assert_eq!(alone.ok(), Ok(expected.clone()));
    let group = ["-X", "auto.offset.reset=earliest", "-q", "-c", "5", "-G", "kcat-group", topic];
    assert_eq!(kcat(&world, &group, "").ok(), Ok(expected));

    let listed = kcat(&world, &["-L", "-J"], "").ok().unwrap_or_else(|e| panic!("{e}"));
    let listed: Value = serde_json::from_str(&listed).unwrap();
    let told = listed["brokers"].as_array().unwrap().iter();
    let told: BTreeSet<_> = told.map(|broker| broker["name"].as_str().unwrap()).collect();
    let proxys = [1, 2, 3].map(|node| world.sidecar.proxy.node(node));
    assert_eq!(told, proxys.iter().map(String::as_str).collect());
    world.assert_only_the_proxy_was_dialled();
}

fn kcat(world: &World<'_>, args: &[&str], stdin: &str) -> Finished {
    let mut kcat = Command::new("kcat");
    // cargo has it point to the librdkafka that this package is built with; kcat shall use its own.
    kcat.env_remove("LD_LIBRARY_PATH");
    kcat.envs(world.dialled.environment()).args(["-b", &world.bootstrap()]).args(args);
    process::run(&mut kcat, stdin, Duration::from_secs(60))
}

/// A message, as it stands on standard input and output: none of the tests has a line feed in it.
fn line(datum: &[u8]) -> String {
    format!("{}\n", std::str::from_utf8(datum).unwrap())
}
