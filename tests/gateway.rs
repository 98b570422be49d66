//! Promise: in front of a cluster for many applications, clients are told addresses that lead to the load balancer, and
//! none of them takes the place of the others.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may fail")]

mod support;

use kafka_protocol::messages::{MetadataRequest, MetadataResponse};
use support::{
    admin,
    batch::{Batch, Record},
    broker::FakeBroker,
    case::Case,
    certificates::{self, Authority, Files},
    client::Client,
    java::Java,
    kafka, log_reader, produce,
    proxy::Proxy,
    registry::Registry,
    sidecar::{Sidecar, user},
    wait::{patiently, until},
};

/// A proxy in front of one broker, with more of `listen` than the proxies of other tests have.
struct World {
    proxy: Proxy,
    broker: FakeBroker,
    _registry: Registry,
}

impl World {
    async fn new(listen: &[(&str, &str)]) -> Self {
        let (broker, registry) = (FakeBroker::start().await, Registry::start().await);
        let variables: Vec<_> = listen
            .iter()
            .map(|(key, value)| (format!("SCHEMAWARD_LISTEN__{key}"), *value))
            .collect();
        let variables: Vec<_> =
            variables.iter().map(|(key, value)| (key.as_str(), *value)).collect();
        let upstream = [broker.address()];
        let proxy = Proxy::start_with(&upstream, &registry.url(), "", &variables).await;
        Self { proxy, broker, _registry: registry }
    }

    async fn client(&self) -> Client {
        Client::connect(&self.proxy.bootstrap()).await
    }

    /// A client for which a load balancer speaks, with the header that it sends.
    async fn behind_balancer(&self, header: &[u8]) -> Client {
        let mut client = self.client().await;
        client.send_bytes(header).await;
        client
    }

    fn refused(&self, cause: &str) -> f64 {
        self.proxy.metric(&format!("schemaward_clients_turned_away_total{{cause=\"{cause}\"}}"))
    }
}

async fn metadata(client: &mut Client) -> MetadataResponse {
    let request = MetadataRequest::default().with_topics(Some(Vec::new()));
    patiently("metadata", client.call(1, &request)).await
}

/// The header of a load balancer that connects for `address`, port 5.
fn header_for(address: [u8; 4]) -> Vec<u8> {
    let addresses = [&address[..], &[10, 0, 0, 9], &[0, 5], &[0x23, 0x84]].concat();
    [b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c".as_slice(), &addresses].concat()
}

/// The header of a load balancer that asks for itself whether anybody is there.
const LOCAL_HEADER: &[u8] = b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0";

#[tokio::test]
async fn clients_are_told_the_host_and_port_of_what_stands_before_the_proxy() {
    let world = World::new(&[
        ("ADVERTISED_HOST", "broker-{node_id}.kafka.example.com"),
        ("ADVERTISED_PORT", "9093"),
    ])
    .await;
    let answer = metadata(&mut world.client().await).await;
    let told: Vec<_> = answer.brokers.iter().map(|it| (it.node_id.0, &*it.host, it.port)).collect();
    assert_eq!(told, [(1, "broker-1.kafka.example.com", 9093)]);
    let mut through_its_port = Client::connect(&world.proxy.node(1)).await;
    assert_eq!(metadata(&mut through_its_port).await.brokers.len(), 1);
}

#[tokio::test]
async fn the_last_connection_is_served_and_the_next_is_closed_until_one_has_gone() {
    let world = World::new(&[("MAX_CONNECTIONS", "2")]).await;
    let mut first = world.client().await;
    let mut second = Client::connect(&world.proxy.node(1)).await;
    metadata(&mut first).await;
    metadata(&mut second).await;
    let mut third = world.client().await;
    assert!(patiently("the end", third.closed()).await, "nothing is said to it");
    assert_eq!(world.refused("max_connections"), 1.0);
    drop(second);
    until("the place is free", || world.proxy.metric("schemaward_connections") <= 1.0).await;
    metadata(&mut world.client().await).await;
    metadata(&mut first).await;
}

#[tokio::test]
async fn one_address_cannot_take_the_place_of_others() {
    let world =
        World::new(&[("MAX_CONNECTIONS_PER_ADDRESS", "1"), ("PROXY_PROTOCOL", "required")]).await;
    let mut first = world.behind_balancer(&header_for([10, 1, 1, 1])).await;
    metadata(&mut first).await;
    let mut second = world.behind_balancer(&header_for([10, 1, 1, 1])).await;
    assert!(patiently("the end", second.closed()).await);
    until("it is counted", || world.refused("max_connections_per_address") == 1.0).await;
    let mut other = world.behind_balancer(&header_for([10, 1, 1, 2])).await;
    metadata(&mut other).await;
    metadata(&mut first).await;
}

#[tokio::test]
async fn a_load_balancer_may_ask_for_itself() {
    let world = World::new(&[("PROXY_PROTOCOL", "required")]).await;
    metadata(&mut world.behind_balancer(LOCAL_HEADER).await).await;
}

#[tokio::test]
async fn who_comes_without_the_header_that_is_required_is_closed_unread() {
    let world = World::new(&[("PROXY_PROTOCOL", "required")]).await;
    let before = world.broker.frames().len();
    let mut version_1 = world.behind_balancer(b"PROXY TCP4 10.0.0.1 10.0.0.2 1 2\r\n").await;
    assert!(patiently("the end", version_1.closed()).await);
    let mut without = world.client().await;
    without.send(1, &MetadataRequest::default().with_topics(Some(Vec::new()))).await;
    assert!(patiently("the end", without.closed()).await);
    assert_eq!(world.refused("proxy_protocol"), 2.0);
    assert_eq!(world.broker.frames().len(), before);
}

#[tokio::test]
async fn a_header_that_does_not_come_delays_nobody_else() {
    let world = World::new(&[("PROXY_PROTOCOL", "required")]).await;
    let _silent = world.client().await;
    let _half = world.behind_balancer(&LOCAL_HEADER[..7]).await;
    metadata(&mut world.behind_balancer(LOCAL_HEADER).await).await;
}

/// One port for a whole cluster of three, under TLS.
struct OnePort {
    kafka: &'static kafka::Kafka,
    sidecar: Sidecar,
    servers: Authority,
    files: Files,
}

impl OnePort {
    fn start() -> Option<Self> {
        let kafka = kafka::shared_cluster()?;
        let (files, servers) = (Files::new(), Authority::new("servers"));
        files.write("servers.crt", &servers.pem());
        files.identity("server", &servers.issue("gateway", &["*.kafka.example.com"]));
        let folder = files.folder().display();
        let tls = format!("{{certificate: {folder}/server.crt, key: {folder}/server.key}}");
        let variables = [
            ("SCHEMAWARD_LISTEN__ROUTING", "server_name"),
            ("SCHEMAWARD_LISTEN__BROKER_PORTS", "null"),
            ("SCHEMAWARD_LISTEN__ADVERTISED_HOST", "b{node_id}.kafka.example.com"),
            ("SCHEMAWARD_LISTEN__TLS", &tls),
        ];
        let sidecar = Sidecar::start_with(kafka, "", &variables);
        Some(Self { kafka, sidecar, servers, files })
    }
}

#[test]
fn each_broker_of_a_cluster_is_reached_on_one_port_by_its_name() {
    let Some(gateway) = OnePort::start() else { return };
    let topic = "by-name";
    admin::create_topic(&gateway.kafka.bootstrap(), topic, 6, 1);
    let config = certificates::client_config(&gateway.servers, None);
    let address = gateway.sidecar.bootstrap();
    for partition in 0..6 {
        let leader = admin::leader_of(&gateway.kafka.bootstrap(), topic, partition);
        for node in gateway.kafka.node_ids() {
            let name = format!("b{node}.kafka.example.com");
            let mut client = certificates::connect_to(&address, &name, &config).unwrap();
            let record =
                Record::new(user("Ada")).header("content-type", "avro").header("schema-id", "1");
            let batch = Batch::new(vec![record]).to_bytes();
            let request = produce::request(topic, partition, batch);
            let answer = client.call(&request, 9).unwrap();
            let code = answer.responses[0].partition_responses[0].error_code;
            let expected = if node == leader { 0 } else { NOT_LEADER };
            assert_eq!(code, expected, "node {node}, leader {leader}");
        }
    }
}

/// `NOT_LEADER_OR_FOLLOWER`.
const NOT_LEADER: i16 = 6;

#[test]
fn a_java_client_finds_all_brokers_on_one_port_by_their_names() {
    let (Some(gateway), Some(java)) = (OnePort::start(), Java::get()) else { return };
    let (topic, direct) = ("java-by-name", gateway.kafka.bootstrap());
    admin::create_topic(&direct, topic, 6, 1);
    let address = gateway.sidecar.proxy.host();
    let names = ["kafka".to_owned()].into_iter().chain((0..9).map(|node| format!("b{node}")));
    let hosts: Vec<_> = names.map(|name| format!("{address} {name}.kafka.example.com")).collect();
    let hosts = gateway.files.write("hosts", &hosts.join("\n"));
    let java = java.property(&format!("jdk.net.hosts.file={}", hosts.display()));
    let trusted =
        format!("ssl.truststore.location={}/servers.crt", gateway.files.folder().display());
    let settings = ["security.protocol=SSL", "ssl.truststore.type=PEM", &trusted];
    let good = |partition| {
        let case = Case::new(topic, &user("Ada")).partition(partition);
        case.header("content-type", "avro").header("schema-id", "1")
    };
    let bootstrap = "kafka.kafka.example.com:9092";
    let seen = java.produce(bootstrap, &settings, &(0..6).map(good).collect::<Vec<_>>());
    assert!(seen.iter().all(|outcome| outcome.ok), "{seen:?}");
    let bad = Case::new(topic, b"no metadata").partition(0);
    let seen = java.produce(bootstrap, &settings, &[bad]);
    assert_eq!(seen[0].code, Some(87), "{seen:?}");
    for partition in 0..6 {
        let stored = log_reader::stored_at_least(&direct, topic, partition, 1);
        assert_eq!(stored.len(), 1, "partition {partition}");
    }
}
