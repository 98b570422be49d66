//! What is not read passes as the bytes that came, in both directions, for every api key and version; what is large
//! streams through.

mod support;

use bytes::{Buf, Bytes, BytesMut};
use kafka_protocol::{
    messages::{
        ApiKey, ApiVersionsResponse, DescribeClusterResponse, FetchResponse,
        FindCoordinatorResponse, MetadataResponse, ProduceRequest, ProduceResponse,
        SaslAuthenticateRequest, SaslAuthenticateResponse, SaslHandshakeRequest,
        SaslHandshakeResponse, ShareAcknowledgeResponse, ShareFetchResponse,
        fetch_response as fetch, share_fetch_response as share,
    },
    protocol::{Decodable, StrBytes},
};
use support::{
    client::frame,
    scripted::{BrokerEnd, Stage, raw_request, raw_response, response},
    wait::patiently,
};
use tokio::io::AsyncReadExt;

/// Bytes without a pattern, the same in every run.
fn noise(seed: u32, len: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(2_654_435_761).max(1);
    let next = || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        (state >> 11) as u8
    };
    std::iter::repeat_with(next).take(len).collect()
}

/// A request there, an answer back; gives what arrived at either end.
async fn exchange(
    client: &mut support::client::Client,
    broker: &mut BrokerEnd,
    request: &[u8],
    answer: &[u8],
) -> (Bytes, Bytes) {
    client.send_bytes(request).await;
    let arrived = broker.request().await;
    broker.send(answer).await;
    (arrived.0, client.raw().await)
}

/// Versions of an api that the oracle knows, and the one after them.
fn versions(api_key: i16) -> std::ops::RangeInclusive<i16> {
    let known = ApiKey::try_from(api_key).map(|key| key.valid_versions());
    known.map_or(0..=1, |known| known.min..=known.max + 1)
}

/// Apis whose answers are read; the versions from which on they are.
fn is_read(api_key: i16, version: i16) -> bool {
    matches!(api_key, 0 | 3 | 10 | 17 | 18 | 36 | 60 | 78 | 79) || (api_key == 1 && version >= 16)
}

#[tokio::test]
async fn every_api_that_is_not_read_passes_as_the_bytes_that_came() {
    let mut stage = Stage::new("").await;
    let (mut client, mut broker) = stage.connect().await;
    let unknown = [i16::MIN, -1, 101, 1_000, i16::MAX];
    let mut exchanged = 0;
    for api_key in (0..=100).chain(unknown) {
        let odd = [i16::MIN, -1, i16::MAX];
        for version in versions(api_key).chain(odd.into_iter().filter(|_| api_key != 1)) {
            if is_read(api_key, version) {
                continue;
            }
            let id = exchanged * 7 - 3;
            let request = raw_request(api_key, version, id, &noise(1, exchanged as usize % 97));
            let answer = raw_response(id, &noise(2, exchanged as usize % 89));
            let (arrived, answered) = exchange(&mut client, &mut broker, &request, &answer).await;
            assert_eq!(arrived, request, "request {api_key} v{version}");
            assert_eq!(answered, answer, "answer {api_key} v{version}");
            exchanged += 1;
        }
    }
    assert!(exchanged > 500, "{exchanged}");
    assert_eq!(stage.memory_used(), 0);
}

/// An answer without addresses, by api key.
fn empty_answer(api_key: i16, version: i16, id: i32) -> Bytes {
    match api_key {
        0 => response(id, version, &ProduceResponse::default()),
        1 => response(id, version, &FetchResponse::default()),
        3 => response(id, version, &MetadataResponse::default()),
        10 if version < 4 => {
            let nowhere = FindCoordinatorResponse::default().with_node_id((-1).into());
            response(id, version, &nowhere.with_error_code(15).with_port(-1))
        }
        10 => response(id, version, &FindCoordinatorResponse::default()),
        17 => response(id, version, &SaslHandshakeResponse::default()),
        18 => response(id, version, &ApiVersionsResponse::default()),
        36 => response(id, version, &SaslAuthenticateResponse::default()),
        60 => response(id, version, &DescribeClusterResponse::default()),
        78 => response(id, version, &ShareFetchResponse::default()),
        79 => response(id, version, &ShareAcknowledgeResponse::default()),
        _ => raw_response(id, &noise(3, 20)),
    }
}

#[tokio::test]
async fn what_is_read_passes_as_it_came_where_it_names_no_address() {
    let mut stage = Stage::new("").await;
    let (mut client, mut broker) = stage.connect().await;
    let offered = [(0, 3..=13), (1, 4..=18), (3, 0..=13), (10, 0..=6), (17, 1..=1), (18, 0..=4)];
    let offered = offered.into_iter().chain([(36, 0..=2), (60, 0..=2), (78, 1..=1), (79, 1..=1)]);
    for (api_key, versions) in offered {
        for version in versions {
            let id = i32::from(api_key) * 100 + i32::from(version);
            let request = match api_key {
                0 => frame(id, version, &ProduceRequest::default().with_acks(1)),
                17 => frame(id, version, &SaslHandshakeRequest::default()),
                36 => frame(id, version, &SaslAuthenticateRequest::default()),
                _ => raw_request(api_key, version, id, &noise(4, 30)),
            };
            let answer = empty_answer(api_key, version, id);
            let (arrived, answered) = exchange(&mut client, &mut broker, &request, &answer).await;
            assert_eq!(arrived, request, "request {api_key} v{version}");
            assert_eq!(answered, answer, "answer {api_key} v{version}");
        }
    }
    assert_eq!(stage.memory_used(), 0);
}

const MIB: usize = 1 << 20;

#[tokio::test]
async fn an_answer_of_200_mib_streams_through_and_is_never_held() {
    let mut stage = Stage::new("").await;
    let (mut client, mut broker) = stage.connect().await;
    for (api_key, version) in [(12, 2), (1, 4), (1, 15)] {
        client.send_bytes(&raw_request(api_key, version, 5, b"give")).await;
        let request = broker.request().await;
        let total = 200 * MIB;
        let size = i32::try_from(total + 4).unwrap();
        broker
            .send(&[&size.to_be_bytes()[..], &request.correlation_id().to_be_bytes()].concat())
            .await;
        let chunk = noise(6, MIB);
        broker.send(&chunk).await;
        // All of it arrives while the broker has not sent the rest.
        let mut first = vec![0; 8 + MIB];
        patiently("the first bytes", client.stream.read_exact(&mut first)).await.unwrap();
        assert!(first[8..] == chunk, "{api_key} v{version}");
        assert_eq!(stage.memory_used(), 0);
        let reading = async {
            let mut buffer = vec![0; MIB];
            for _ in 1..200 {
                client.stream.read_exact(&mut buffer).await.unwrap();
                assert!(buffer == chunk);
            }
        };
        let sending = async {
            for _ in 1..200 {
                broker.send(&chunk).await;
            }
        };
        patiently("200 MiB", async { tokio::join!(reading, sending) }).await;
        assert_eq!(stage.memory_used(), 0, "{api_key} v{version}");
    }
}

/// Sizes of the pieces in which an answer arrives.
const SPLITS: [&[usize]; 3] = [&[1, 3, 70_001, 4, 1_000_003], &[65_536], &[7, 2 * MIB, 13]];
const LONG_HOST: &str = "broker-with-a-name-that-is-long-enough.example.org";

fn fetch_response(hosts: &[(i32, &str)]) -> FetchResponse {
    let partition = |index| {
        let records = Some(noise(index, 10 * MIB + index as usize).into());
        fetch::PartitionData::default().with_partition_index(index as i32).with_records(records)
    };
    let endpoint = |(node, host): &(i32, &str)| {
        fetch::NodeEndpoint::default()
            .with_node_id((*node).into())
            .with_host(StrBytes::from_string((*host).to_owned()))
            .with_port(9092)
    };
    let topic =
        fetch::FetchableTopicResponse::default().with_partitions(vec![partition(1), partition(2)]);
    FetchResponse::default()
        .with_responses(vec![topic])
        .with_node_endpoints(hosts.iter().map(endpoint).collect())
}

fn share_response(hosts: &[(i32, &str)]) -> ShareFetchResponse {
    let records = Some(noise(9, 20 * MIB).into());
    let partition = share::PartitionData::default().with_records(records);
    let topic = share::ShareFetchableTopicResponse::default().with_partitions(vec![partition]);
    let endpoint = |(node, host): &(i32, &str)| {
        share::NodeEndpoint::default()
            .with_node_id((*node).into())
            .with_host(StrBytes::from_string((*host).to_owned()))
            .with_port(9092)
    };
    ShareFetchResponse::default()
        .with_responses(vec![topic])
        .with_node_endpoints(hosts.iter().map(endpoint).collect())
}

/// Sends `answer` to a request through the proxy in odd pieces, and gives what arrived.
async fn relay(
    stage: &mut Stage,
    api_key: i16,
    version: i16,
    answer: &[u8],
    sizes: &[usize],
) -> Bytes {
    let (mut client, mut broker) = stage.connect().await;
    client.send_bytes(&raw_request(api_key, version, 5, b"give")).await;
    broker.request().await;
    let (arrived, ()) = tokio::join!(client.raw(), broker.send_in_pieces(answer, sizes));
    assert_eq!(arrived.len(), answer.len(), "the length was sent long before");
    assert_eq!(stage.memory_used(), 0);
    arrived
}

#[tokio::test]
async fn fetched_records_stream_and_only_the_addresses_behind_them_change() {
    let mut stage = Stage::new("").await;
    let hosts = [(1, LONG_HOST), (99, "outside.example.org")];
    let sent = fetch_response(&hosts);
    for (version, sizes) in (16..=18).zip(SPLITS) {
        let answer = response(5, version, &sent);
        let arrived = relay(&mut stage, 1, version, &answer, sizes).await;
        let mut body = arrived.slice(9..);
        let told = FetchResponse::decode(&mut body, version).unwrap();
        assert!(!body.has_remaining());
        assert!(told.responses == sent.responses);
        let nodes: Vec<_> =
            told.node_endpoints.iter().map(|it| (it.node_id.0, it.host.to_string())).collect();
        assert_eq!(nodes, [(1, stage.proxy.host().to_owned())]);
        // Nothing fits where the host was shorter: the list is emptied.
        let short = fetch_response(&[(1, "kafka")]);
        let arrived = relay(&mut stage, 1, version, &response(5, version, &short), sizes).await;
        let told = FetchResponse::decode(&mut arrived.slice(9..), version).unwrap();
        assert!(told.responses == short.responses && told.node_endpoints.is_empty());
    }
}

#[tokio::test]
async fn shared_records_stream_and_only_the_addresses_behind_them_change() {
    let mut stage = Stage::new("").await;
    let sent = share_response(&[(1, LONG_HOST), (99, "outside.example.org")]);
    for sizes in SPLITS {
        let arrived = relay(&mut stage, 78, 1, &response(5, 1, &sent), sizes).await;
        let told = ShareFetchResponse::decode(&mut arrived.slice(9..), 1).unwrap();
        assert!(told.responses == sent.responses);
        let nodes: Vec<_> =
            told.node_endpoints.iter().map(|it| (it.node_id.0, it.host.to_string())).collect();
        assert_eq!(nodes, [(1, stage.proxy.host().to_owned())]);
    }
}

#[tokio::test]
async fn a_request_arrives_whole_however_it_is_split() {
    let mut stage = Stage::new("").await;
    let (mut client, mut broker) = stage.connect().await;
    let large = raw_request(12, 2, 1, &noise(7, 5 * MIB));
    let mut sent = BytesMut::new();
    for len in [0, 1, 500, 1_023, 1_024, 1_025, 16_384, 70_000] {
        sent.extend_from_slice(&raw_request(12, 2, 1, &noise(8, len)));
    }
    sent.extend_from_slice(&large);
    let sending = async {
        for piece in sent.chunks(48_611) {
            client.send_bytes(piece).await;
        }
    };
    let receiving = async {
        let mut arrived = BytesMut::new();
        while arrived.len() < sent.len() {
            arrived.extend_from_slice(&broker.request().await.0);
        }
        arrived
    };
    let ((), arrived) = tokio::join!(sending, receiving);
    assert!(arrived == sent);
}
