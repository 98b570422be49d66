//! Administration: all questions and changes of an administrator's tools, and no address but the proxy's.

use std::collections::BTreeSet;

use serde_json::json;

use super::World;
use super::support::java::Tour;

#[test]
fn administrators_of_every_library_do_their_work_and_are_told_the_proxys_addresses_alone() {
    let Some(world) = World::start() else { return };
    let bootstrap = world.bootstrap();
    let java = world.java.admin_tour(&bootstrap, "tour-java");
    check_tour(&world, "java", &java);
    for (step, field, value) in [
        ("alterConsumerGroupOffsets", "offset", json!(7)),
        ("describeLogDirs", "there", json!(true)),
        ("describeMetadataQuorum", "voters", json!(3)),
        ("describeProducers", "producers", json!(0)),
        ("listOffsets", "offset", json!(0)),
    ] {
        assert_eq!(java.step(step)[field], value, "java: {step}");
    }
    for library in ["confluent", "aiokafka"] {
        let tour = world.python.admin_tour(library, &bootstrap, &format!("tour-{library}"));
        check_tour(&world, library, &tour);
        assert_eq!(tour.step("describeTopics")["partitions"], 3, "{library}");
    }
    world.assert_only_the_proxy_was_dialled();
}

fn check_tour(world: &World<'_>, library: &str, tour: &Tour) {
    let nodes = world.kafka.node_ids().into_iter().map(|node| u16::try_from(node).unwrap());
    let expected: BTreeSet<_> = nodes.map(|node| world.sidecar.proxy.node(node)).collect();
    assert_eq!(BTreeSet::from_iter(tour.addresses()), expected, "{library}");
    assert_eq!(tour.step("describeConfigs")["retention"], "1234", "{library}");
    assert_eq!(tour.step("listConsumerGroupOffsets")["offset"], 0, "{library}");
    tour.step("deleteTopics");
}
