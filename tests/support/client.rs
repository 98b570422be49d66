//! A client that speaks the protocol and nothing more: any request in any version, any bytes.

use bytes::{Buf, Bytes, BytesMut};
use kafka_protocol::{
    messages::{
        ProduceRequest, ProduceResponse, RequestHeader, ResponseHeader, TopicName,
        produce_request::{PartitionProduceData, TopicProduceData},
        produce_response::PartitionProduceResponse,
    },
    protocol::{Decodable, Encodable, HeaderVersion, Request, StrBytes},
};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use super::wait::patiently;

/// One connection.
#[derive(Debug)]
pub struct Client {
    pub stream: TcpStream,
    next: i32,
}

impl Client {
    pub async fn connect(address: &str) -> Self {
        let stream = TcpStream::connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        Self { stream, next: 1 }
    }

    /// Sends a request and returns its correlation id.
    pub async fn send<R: Request>(&mut self, version: i16, request: &R) -> i32 {
        let correlation_id = self.next;
        self.next += 1;
        let frame = frame(correlation_id, version, request);
        self.send_bytes(&frame).await;
        correlation_id
    }

    /// Sends bytes as they are.
    pub async fn send_bytes(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.unwrap();
    }

    /// The next response frame without its size; `None` when the other side has closed.
    pub async fn receive_frame(&mut self) -> Option<Bytes> {
        let size = match self.stream.read_i32().await {
            Ok(size) => usize::try_from(size).unwrap(),
            Err(_) => return None,
        };
        let mut frame = vec![0; size];
        self.stream.read_exact(&mut frame).await.ok()?;
        Some(frame.into())
    }

    /// The next response, with its correlation id.
    pub async fn receive<R: Decodable + HeaderVersion>(
        &mut self,
        version: i16,
    ) -> Option<(i32, R)> {
        let mut frame = self.receive_frame().await?;
        let header = ResponseHeader::decode(&mut frame, R::header_version(version)).unwrap();
        let response = R::decode(&mut frame, version).unwrap();
        assert!(!frame.has_remaining(), "bytes after the response");
        Some((header.correlation_id, response))
    }

    /// Sends a request and waits for its response.
    pub async fn call<R>(&mut self, version: i16, request: &R) -> R::Response
    where
        R: Request,
        R::Response: HeaderVersion,
    {
        let sent = self.send(version, request).await;
        let (correlation_id, response) =
            self.receive(version).await.expect("the connection was closed instead of an answer");
        assert_eq!(correlation_id, sent);
        response
    }

    /// Produces and waits for the answer.
    pub async fn produce(&mut self, version: i16, produce: &Produce) -> ProduceResponse {
        self.call(version, &produce.request(version)).await
    }

    /// The next response frame, size included; panics if there is none.
    pub async fn raw(&mut self) -> Bytes {
        let frame = patiently("a response", self.receive_frame()).await;
        let frame = frame.expect("the connection was closed instead of an answer");
        let size = i32::try_from(frame.len()).unwrap();
        [&size.to_be_bytes()[..], &frame].concat().into()
    }

    /// Sends bytes as long as the other side takes them: a connection that is closed meanwhile is no fault.
    pub async fn try_send_bytes(&mut self, bytes: &[u8]) -> bool {
        self.stream.write_all(bytes).await.is_ok()
    }

    /// Waits until the other side closes, and says whether it sent anything first.
    pub async fn closed(&mut self) -> bool {
        let mut byte = [0; 1];
        !matches!(self.stream.read(&mut byte).await, Ok(1..))
    }
}

/// The next frame, size included; `None` when the other side has closed.
pub async fn read_frame(reading: &mut (impl AsyncRead + Unpin)) -> Option<Bytes> {
    let size = reading.read_i32().await.ok()?;
    let mut frame = vec![0; usize::try_from(size).unwrap() + 4];
    frame[..4].copy_from_slice(&size.to_be_bytes());
    reading.read_exact(&mut frame[4..]).await.ok()?;
    Some(frame.into())
}

/// A request as it travels, size included.
pub fn frame<R: Request>(correlation_id: i32, version: i16, request: &R) -> Bytes {
    frame_of("test-client", correlation_id, version, request)
}

/// The same of a client with this name.
pub fn frame_of<R: Request>(
    client_id: &str,
    correlation_id: i32,
    version: i16,
    request: &R,
) -> Bytes {
    let header = RequestHeader::default()
        .with_request_api_key(R::KEY)
        .with_request_api_version(version)
        .with_correlation_id(correlation_id)
        .with_client_id(Some(StrBytes::from_string(client_id.to_owned())));
    let mut payload = BytesMut::new();
    header.encode(&mut payload, R::header_version(version)).unwrap();
    request.encode(&mut payload, version).unwrap();
    let size = i32::try_from(payload.len()).unwrap();
    [&size.to_be_bytes()[..], &payload].concat().into()
}

/// A partition and its record set.
type PartitionBytes = (i32, Option<Bytes>);

/// A Produce request to be put together.
#[derive(Debug, Clone)]
pub struct Produce {
    pub acks: i16,
    pub transactional_id: Option<String>,
    /// Topic name, its id (for v13), its partitions.
    pub topics: Vec<(String, uuid::Uuid, Vec<PartitionBytes>)>,
}

impl Produce {
    /// To one partition of one topic.
    pub fn to(topic: &str, partition: i32, record_set: impl Into<Bytes>) -> Self {
        Self { acks: -1, transactional_id: None, topics: Vec::new() }
            .and(topic, partition, record_set)
    }

    /// And to another one.
    pub fn and(mut self, topic: &str, partition: i32, record_set: impl Into<Bytes>) -> Self {
        let part = (partition, Some(record_set.into()));
        match self.topics.iter_mut().find(|(name, ..)| name == topic) {
            Some((_, _, partitions)) => partitions.push(part),
            None => {
                self.topics.push((topic.to_owned(), super::broker::topic_id(topic), vec![part]))
            }
        }
        self
    }

    pub fn acks(mut self, acks: i16) -> Self {
        self.acks = acks;
        self
    }

    pub fn request(&self, version: i16) -> ProduceRequest {
        let topics = self.topics.iter().map(|(name, id, partitions)| {
            let partitions = partitions.iter().map(|(index, record_set)| {
                PartitionProduceData::default().with_index(*index).with_records(record_set.clone())
            });
            let topic = TopicProduceData::default().with_partition_data(partitions.collect());
            if version >= 13 {
                topic.with_topic_id(*id)
            } else {
                topic.with_name(TopicName(StrBytes::from_string(name.clone())))
            }
        });
        ProduceRequest::default()
            .with_acks(self.acks)
            .with_timeout_ms(10_000)
            .with_topic_data(topics.collect())
    }
}

/// The only partition of an answer.
pub fn only(response: &ProduceResponse) -> &PartitionProduceResponse {
    let partitions: Vec<_> =
        response.responses.iter().flat_map(|topic| &topic.partition_responses).collect();
    assert_eq!(partitions.len(), 1, "{response:?}");
    partitions[0]
}
