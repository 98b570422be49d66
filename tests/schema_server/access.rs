//! Who may use it, over what, until when; and that the proxy can.

use std::{fs, sync::Arc};

use reqwest::Method;
use schemaward::{
    limits::SchemaLimits,
    schema::{
        Compiled, Guid, HttpSource, References, RegistryKey, RegistrySettings, SchemaRef,
        SchemaSource,
    },
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use super::{USER, USER_WITH_AGE, refused, schema};
use crate::support::{
    certificates::{Authority, Files},
    proxy::{install_crypto, loopback},
    schema_server::SchemaServer,
    wait,
};

#[tokio::test]
async fn beyond_loopback_it_has_to_be_told_that_everybody_may_change_schemas() {
    let (code, said) = refused(&["--listen", "0.0.0.0:0"]);
    assert_eq!(code, Some(2));
    assert!(said.contains("--username-file") && said.contains("--allow-anonymous"), "{said}");
    let (code, said) = refused(&["--listen", "0.0.0.0:0", "--username-file", "/nowhere"]);
    assert_eq!(code, Some(2), "{said}");
    let missing = ["--username-file", "/nowhere/u", "--password-file", "/nowhere/p"];
    let (code, said) = refused(&missing);
    assert_eq!(code, Some(1));
    assert!(said.contains("the credentials cannot be used: /nowhere/u"), "{said}");
}

#[tokio::test]
async fn only_who_knows_the_password_is_let_in_and_it_may_change() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    fs::write(path("user"), "ann\n").unwrap();
    fs::write(path("password"), "first\n").unwrap();
    let (user, password) = (path("user"), path("password"));
    let args = ["--username-file", &user, "--password-file", &password];
    let server = SchemaServer::start(&loopback(), "http", &args).await;
    let ask = async |path: &str, authorization: &str| {
        server.ask(Method::GET, path, &[("authorization", authorization)], "").await
    };
    let (first, second) = ("Basic YW5uOmZpcnN0", "Basic YW5uOnNlY29uZA==");
    for path in ["/", "/subjects", "/a.avsc", "/schemas/nothing"] {
        let refused = server.get(path).await;
        assert_eq!((refused.status, refused.code()), (401, 401), "{path}");
        assert!(refused.header("www-authenticate").starts_with("Basic"));
        assert_ne!(ask(path, first).await.status, 401, "{path}");
        assert_eq!(ask(path, second).await.status, 401, "{path}");
    }
    assert_eq!(server.get("/livez").await.status, 200);
    fs::write(path("password"), "second\n").unwrap();
    assert_eq!(ask("/subjects", second).await.status, 200);
    assert_eq!(ask("/subjects", first).await.status, 401);
    assert!(!server.said().contains("first") && !server.said().contains("second"));
}

#[tokio::test]
async fn it_speaks_tls_with_certificates_that_rotate() {
    let (host, files, authority) = (loopback(), Files::new(), Authority::new("servers"));
    files.identity("tls", &authority.issue("one", &[&host]));
    let path = |name: &str| files.path(name).to_str().unwrap().to_owned();
    let (certificate, key) = (path("tls.crt"), path("tls.key"));
    let args = ["--tls-certificate", &certificate, "--tls-key", &key];
    let server = SchemaServer::start(&host, "https", &args).await;
    assert_eq!(server.put("/a.avsc", USER).await.status, 201);
    files.identity("tls", &authority.issue("two", &[&host]));
    wait::until("new files are in force", || server.said().contains("new TLS files are in force"))
        .await;
    assert_eq!(server.get("/a.avsc").await.status, 200);
    // Without TLS there is no answer.
    let mut plain = TcpStream::connect(format!("{host}:8081")).await.unwrap();
    plain.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    let mut answer = Vec::new();
    let _ = plain.read_to_end(&mut answer).await;
    assert!(!answer.starts_with(b"HTTP/"), "{answer:?}");
}

#[tokio::test]
async fn told_to_stop_it_answers_what_is_under_way() {
    let server = SchemaServer::in_memory().await;
    let mut half = TcpStream::connect(format!("{}:8081", server.host())).await.unwrap();
    let head =
        "PUT /a.avsc HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: 5\r\n\r\n";
    half.write_all(head.as_bytes()).await.unwrap();
    // Its handler runs and waits for the body.
    let mut begun = [0; 25];
    half.read_exact(&mut begun).await.unwrap();
    assert!(begun.starts_with(b"HTTP/1.1 100"), "{begun:?}");
    server.signal("TERM");
    while TcpStream::connect(format!("{}:8081", server.host())).await.is_ok() {
        tokio::task::yield_now().await;
    }
    half.write_all(b"\"int\"").await.unwrap();
    let mut answer = Vec::new();
    half.read_to_end(&mut answer).await.unwrap();
    assert!(answer.starts_with(b"HTTP/1.1 201"), "{}", String::from_utf8_lossy(&answer));
    assert_eq!(server.ended().await.0, Some(0));
}

#[tokio::test]
async fn the_proxy_finds_schemas_there_by_id_by_guid_and_by_path() {
    install_crypto();
    let server = SchemaServer::in_memory().await;
    let answer = server.post("/subjects/users/versions", &schema(USER)).await.json();
    server.put("/users/schema.avsc", USER).await;
    let url = Some(server.url().parse().unwrap());
    let settings = RegistrySettings { url, ..RegistrySettings::default() };
    let source =
        HttpSource::new(&settings, SchemaLimits::default(), std::sync::Arc::new(())).unwrap();
    let references = References::new(&settings);
    let id = references.parse(answer["id"].to_string().as_bytes()).unwrap();
    let path = references.parse(b"users/schema.avsc").unwrap();
    let guid = Guid::parse(answer["guid"].as_str().unwrap()).unwrap();
    let guid =
        SchemaRef::Registered { registry: server.url().into(), key: RegistryKey::Guid(guid) };
    let datum = b"\x06ann";
    for reference in [&id, &path, &guid] {
        let found = source.find(reference, None).await.unwrap_or_else(|error| panic!("{error}"));
        let Compiled::Avro(avro) = found.schema.compiled() else { panic!("{found:?}") };
        assert!(avro.check_binary(datum).is_ok());
        assert!(avro.check_binary(b"\x06an").is_err());
    }
    let found = source.find(&path, None).await.unwrap();
    let again = source.find(&path, Some(&found)).await.unwrap();
    assert!(Arc::ptr_eq(&found.schema, &again.schema), "304: it is the one that was known");
    server.put("/users/schema.avsc", USER_WITH_AGE).await;
    let changed = source.find(&path, Some(&found)).await.unwrap();
    assert!(!Arc::ptr_eq(&found.schema, &changed.schema));
}
