//! A Kafka client with no will of its own: sends any request in any version, any bytes, and reads what comes back.
//!
//! It blocks. A proxy under test has to run on threads of its own (another process, or a runtime of several threads).

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use kafka_protocol::messages::{RequestHeader, ResponseHeader};
use kafka_protocol::protocol::{Decodable, Encodable, HeaderVersion, Request, StrBytes};

/// One connection.
#[derive(Debug)]
pub struct RawClient<S = TcpStream> {
    stream: S,
    client_id: Option<String>,
    next_correlation_id: i32,
}

impl RawClient {
    /// Connects. Reading gives up after 30 seconds, so that a test which waits for nothing fails.
    ///
    /// # Errors
    /// Nobody listens there.
    pub fn connect(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect_timeout(&address, TIMEOUT)?;
        stream.set_read_timeout(Some(TIMEOUT))?;
        stream.set_write_timeout(Some(TIMEOUT))?;
        stream.set_nodelay(true)?;
        Ok(Self::over(stream))
    }

    /// Connects to the first address of a `bootstrap.servers` text.
    ///
    /// # Errors
    /// Nobody listens there.
    pub fn bootstrap(servers: &str) -> io::Result<Self> {
        let first = servers.split(',').next().and_then(|address| address.parse().ok());
        Self::connect(first.ok_or_else(|| invalid(format!("no address in {servers:?}")))?)
    }
}

impl<S: Read + Write> RawClient<S> {
    /// Speaks over a connection that is there already, TLS for example.
    pub fn over(stream: S) -> Self {
        Self { stream, client_id: Some("raw-client".to_owned()), next_correlation_id: 1 }
    }

    /// The connection itself.
    pub fn stream(&mut self) -> &mut S {
        &mut self.stream
    }

    /// Names itself so in every request.
    pub fn set_client_id(&mut self, client_id: Option<&str>) {
        self.client_id = client_id.map(str::to_owned);
    }

    /// Sends a request and waits for its response.
    ///
    /// # Errors
    /// The connection broke, the response is not for this request, or it cannot be decoded.
    pub fn call<R: Request>(&mut self, request: &R, version: i16) -> io::Result<R::Response> {
        let sent = self.send(request, version)?;
        let (answered, response) = self.receive::<R>(version)?;
        if answered == sent {
            Ok(response)
        } else {
            Err(invalid(format!("request {sent} was answered as {answered}")))
        }
    }

    /// Sends a request and returns its correlation id.
    ///
    /// # Errors
    /// The connection broke, or the request cannot be encoded in this version.
    pub fn send<R: Request>(&mut self, request: &R, version: i16) -> io::Result<i32> {
        let correlation_id = self.next_correlation_id;
        self.next_correlation_id += 1;
        let frame = request_frame(request, version, correlation_id, self.client_id.as_deref())?;
        self.send_frame(&frame)?;
        Ok(correlation_id)
    }

    /// Reads the next response, which must be one to `R` in this version, and its correlation id.
    ///
    /// # Errors
    /// The connection broke, or the response cannot be decoded.
    pub fn receive<R: Request>(&mut self, version: i16) -> io::Result<(i32, R::Response)> {
        response_of::<R>(self.read_frame()?, version)
    }

    /// Sends a frame: these bytes behind their size.
    ///
    /// # Errors
    /// The connection broke.
    pub fn send_frame(&mut self, frame: &[u8]) -> io::Result<()> {
        let size = i32::try_from(frame.len()).map_err(|e| invalid(e.to_string()))?;
        self.send_bytes(&[&size.to_be_bytes(), frame].concat())
    }

    /// Sends these bytes and nothing else.
    ///
    /// # Errors
    /// The connection broke.
    pub fn send_bytes(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes)?;
        self.stream.flush()
    }

    /// Reads the next frame, without its size.
    ///
    /// # Errors
    /// The connection broke: `UnexpectedEof` when it was closed.
    pub fn read_frame(&mut self) -> io::Result<Bytes> {
        let mut size = [0; 4];
        self.stream.read_exact(&mut size)?;
        let size = usize::try_from(i32::from_be_bytes(size)).map_err(|e| invalid(e.to_string()))?;
        let mut frame = vec![0; size];
        self.stream.read_exact(&mut frame)?;
        Ok(frame.into())
    }

    /// Whether the other side closes the connection without saying anything more. Panics if it says something.
    pub fn is_closed_by_peer(&mut self) -> bool {
        let mut byte = [0];
        match self.stream.read(&mut byte) {
            Ok(0) => true,
            Ok(_) => panic!("the peer said something"),
            Err(e) => !matches!(e.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut),
        }
    }
}

/// The bytes of a request with its header, without the size.
///
/// # Errors
/// The request cannot be encoded in this version.
pub fn request_frame<R: Request>(
    request: &R,
    version: i16,
    correlation_id: i32,
    client_id: Option<&str>,
) -> io::Result<Bytes> {
    let header = RequestHeader::default()
        .with_request_api_key(R::KEY)
        .with_request_api_version(version)
        .with_correlation_id(correlation_id)
        .with_client_id(client_id.map(|id| StrBytes::from_string(id.to_owned())));
    let mut frame = BytesMut::new();
    header.encode(&mut frame, R::header_version(version)).map_err(|e| invalid(e.to_string()))?;
    request.encode(&mut frame, version).map_err(|e| invalid(e.to_string()))?;
    Ok(frame.freeze())
}

/// Reads a response frame to `R`: its correlation id and its body. Bytes that are left over are an error.
///
/// # Errors
/// It cannot be decoded.
pub fn response_of<R: Request>(frame: Bytes, version: i16) -> io::Result<(i32, R::Response)> {
    let mut rest = frame;
    let header = ResponseHeader::decode(&mut rest, R::Response::header_version(version))
        .map_err(|e| invalid(e.to_string()))?;
    let body = R::Response::decode(&mut rest, version).map_err(|e| invalid(e.to_string()))?;
    if rest.is_empty() {
        Ok((header.correlation_id, body))
    } else {
        Err(invalid(format!("{} bytes are left over behind the response", rest.len())))
    }
}

/// Something that does not speak Kafka.
pub fn invalid(what: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

const TIMEOUT: Duration = Duration::from_secs(30);
