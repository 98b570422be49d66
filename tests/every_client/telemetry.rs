//! Metrics of clients (KIP-714): what they push arrives at the brokers.

use kafka_protocol::messages::IncrementalAlterConfigsRequest;
use kafka_protocol::messages::incremental_alter_configs_request::{
    AlterConfigsResource, AlterableConfig,
};

use super::support::admin;
use super::support::raw_client::RawClient;
use super::support::running::RunningProducer;
use super::support::sidecar::wait_until;
use super::{World, all_ok, valid};

const CLIENT_METRICS: i8 = 16;

#[test]
fn what_clients_push_of_their_metrics_arrives_at_a_broker() {
    let Some(world) = World::start() else { return };
    let topic = "telemetry";
    world.create_topic(topic, 1);
    subscribe(&world);
    let bootstrap = world.bootstrap();
    let producers: [(&str, RunningProducer); 2] = [
        ("from-java", world.java.producer(&bootstrap, &["client.id=from-java"])),
        ("from-rdk", world.python.confluent_producer(&bootstrap, &["client.id=from-rdk"])),
    ];
    for (client, mut producer) in producers {
        let seen = producer.send(&[valid(topic, 0, client)]);
        assert!(all_ok(&seen), "{client}: {seen:?}");
        let said = format!("telemetry from {client}: ");
        wait_until("a broker has metrics of the client", || {
            let logs = world.kafka.node_ids().into_iter().map(|node| world.kafka.log(node));
            let logs: Vec<_> = logs.collect();
            let pushes =
                logs.iter().flat_map(|log| log.lines()).filter_map(|it| it.strip_prefix(&said));
            pushes.into_iter().any(|push| !push.starts_with("0 bytes"))
        });
    }
    let pushed = world.sidecar.proxy.metric("schemaward_requests_total{api=\"PushTelemetry\"}");
    assert!(pushed >= 2.0, "{pushed} pushes went through the proxy");
    world.assert_only_the_proxy_was_dialled();
}

/// Asks every client for everything, once a second, past the proxy.
fn subscribe(world: &World<'_>) {
    let set = |name, value| {
        AlterableConfig::default().with_name(admin::text(name)).with_value(Some(admin::text(value)))
    };
    // All metrics are what an empty prefix matches.
    let resource = AlterConfigsResource::default()
        .with_resource_type(CLIENT_METRICS)
        .with_resource_name(admin::text("everything"))
        .with_configs(vec![set("metrics", "*"), set("interval.ms", "1000")]);
    let request = IncrementalAlterConfigsRequest::default().with_resources(vec![resource]);
    let mut client = RawClient::bootstrap(&world.direct()).unwrap();
    let response = client.call(&request, 1).unwrap();
    let answer = &response.responses[0];
    assert_eq!((answer.error_code, answer.error_message.as_deref()), (0, None));
}
