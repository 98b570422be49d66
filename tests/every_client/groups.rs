//! Consumer groups of both protocols, classic and KIP-848: members join and leave, and every record is read.

use std::collections::BTreeSet;
use std::thread;

use super::support::running::RunningMember;
use super::support::sidecar::{user, wait_until};
use super::{World, all_ok, valid};

const PARTITIONS: i64 = 6;

#[test]
fn a_java_group_is_shared_out_anew_by_both_protocols() {
    let Some(world) = World::start() else { return };
    let java = |protocol| {
        move |world: &World<'_>, topic: &str| {
            world.java.member(&world.bootstrap(), topic, topic, &[protocol])
        }
    };
    thread::scope(|scope| {
        let protocols = [
            ("groups-java-classic", "group.protocol=classic"),
            ("groups-java-next", "group.protocol=consumer"),
        ];
        for (topic, protocol) in protocols {
            let world = &world;
            scope.spawn(move || check_group(world, topic, java(protocol)));
        }
    });
    world.assert_only_the_proxy_was_dialled();
}

#[test]
fn a_python_group_is_shared_out_anew_by_the_protocols_that_its_library_has() {
    let Some(world) = World::start() else { return };
    let python = |library, settings: &'static [&str]| {
        move |world: &World<'_>, topic: &str| {
            world.python.member(library, &world.bootstrap(), topic, topic, settings)
        }
    };
    thread::scope(|scope| {
        let libraries: [(&str, &str, &[&str]); 3] = [
            ("groups-confluent-classic", "confluent", &["group.protocol=classic"]),
            ("groups-confluent-next", "confluent", &["group.protocol=consumer"]),
            ("groups-aiokafka", "aiokafka", &["heartbeat_interval_ms=200"]),
        ];
        for (topic, library, settings) in libraries {
            let world = &world;
            scope.spawn(move || check_group(world, topic, python(library, settings)));
        }
    });
    world.assert_only_the_proxy_was_dialled();
}

/// One member, then two, then the second alone; records come before, while and after.
pub(super) fn check_group(
    world: &World<'_>,
    topic: &str,
    join: impl Fn(&World<'_>, &str) -> RunningMember,
) {
    world.create_topic(topic, i32::try_from(PARTITIONS).unwrap());
    let all: BTreeSet<_> = (0..PARTITIONS).collect();
    let mut sent = BTreeSet::new();
    let mut producer = world.java.producer(&world.bootstrap(), &[]);
    let mut send = |round: &str| {
        let names: Vec<_> = (0..PARTITIONS).map(|at| format!("{round} {at}")).collect();
        let cases = (0..).zip(&names).map(|(at, name)| valid(topic, at, name));
        let seen = producer.send(&cases.collect::<Vec<_>>());
        assert!(all_ok(&seen), "{seen:?}");
        sent.extend(names.iter().map(|name| user(name)));
        sent.clone()
    };
    let has_read = |members: &[&RunningMember], sent: &BTreeSet<Vec<u8>>| {
        let read: BTreeSet<_> = members.iter().flat_map(|member| member.values()).collect();
        assert!(read.is_subset(sent), "nothing else is there to be read");
        read == *sent
    };

    let first = join(world, topic);
    wait_until("the first member has every partition", || first.assigned() == all);
    let so_far = send("alone");
    wait_until("the first member has read all", || has_read(&[&first], &so_far));

    let second = join(world, topic);
    wait_until("the two members share the partitions evenly", || {
        let (mine, others) = (first.assigned(), second.assigned());
        mine.len() == others.len() && mine.union(&others).copied().collect::<BTreeSet<_>>() == all
    });
    let so_far = send("together");
    wait_until("both members have read all", || has_read(&[&first, &second], &so_far));

    first.leave();
    wait_until("the second member has every partition", || second.assigned() == all);
    let before = second.values().len();
    send("after");
    wait_until("the second member reads on", || {
        second.values().len() >= before + usize::try_from(PARTITIONS).unwrap()
    });
    let read = second.leave();
    // What the first had read and committed before it left is not read again.
    assert!(read.iter().all(|value| !value.starts_with(&user("alone")[..6])), "{topic}: {read:?}");
}
