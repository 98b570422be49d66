//! A registry that does what a test tells it: schema documents by path, Confluent ids, and every kind of trouble.

use std::{
    collections::{HashMap, HashSet},
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use axum::{
    Router,
    extract::{Request, State},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use tokio::{net::TcpListener, sync::watch, task::JoinHandle};

/// How the registry answers for now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mood {
    /// As it should.
    Well,
    /// With this status.
    Status(u16),
    /// Not before the mood changes.
    Silent,
    /// With bytes that are no schema.
    Garbage,
    /// With a redirect.
    Redirect(String),
}

#[derive(Debug)]
struct Shared {
    documents: Mutex<HashMap<String, String>>,
    failing: Mutex<HashSet<String>>,
    requests: Mutex<Vec<String>>,
    authorizations: Mutex<Vec<String>>,
    mood: watch::Sender<Mood>,
}

/// A running registry.
#[derive(Debug)]
pub struct Registry {
    address: SocketAddr,
    shared: Arc<Shared>,
    server: JoinHandle<()>,
}

impl Drop for Registry {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Registry {
    /// Starts on a free port with no schemas.
    pub async fn start() -> Self {
        Self::start_at("127.0.0.1:0").await
    }

    /// The same at an address: what was killed comes back there.
    pub async fn start_at(address: &str) -> Self {
        let listener = TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            documents: Mutex::default(),
            failing: Mutex::default(),
            requests: Mutex::default(),
            authorizations: Mutex::default(),
            mood: watch::Sender::new(Mood::Well),
        });
        let app = Router::new().fallback(answer).with_state(Arc::clone(&shared));
        let server = tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self { address, shared, server }
    }

    /// Where it listens.
    pub fn address(&self) -> String {
        self.address.to_string()
    }

    /// Its base URL, no slash at the end.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Serves `schema` at `/path`, and gives its URL.
    pub fn document(&self, path: &str, schema: &str) -> String {
        self.shared.documents.lock().unwrap().insert(format!("/{path}"), schema.to_owned());
        format!("{}/{path}", self.url())
    }

    /// Serves `schema` under a Confluent id, and gives the id as a header says it.
    pub fn id(&self, id: u32, schema: &str) -> String {
        let body = serde_json::json!({ "schema": schema }).to_string();
        self.document(&format!("schemas/ids/{id}"), &body);
        id.to_string()
    }

    /// Answers 503 at `/path`, whatever the mood.
    pub fn fails(&self, path: &str) {
        self.shared.failing.lock().unwrap().insert(format!("/{path}"));
    }

    /// Changes how it answers; look-ups that wait go on at once.
    pub fn mood(&self, mood: Mood) {
        self.shared.mood.send_replace(mood);
    }

    /// The paths that were asked for so far.
    pub fn requests(&self) -> Vec<String> {
        self.shared.requests.lock().unwrap().clone()
    }

    /// What the same requests said of who asks; nothing: an empty text.
    pub fn authorizations(&self) -> Vec<String> {
        self.shared.authorizations.lock().unwrap().clone()
    }
}

async fn answer(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let path = request.uri().path().to_owned();
    shared.requests.lock().unwrap().push(path.clone());
    let said = request.headers().get(header::AUTHORIZATION);
    let said = said.and_then(|said| said.to_str().ok()).unwrap_or_default().to_owned();
    shared.authorizations.lock().unwrap().push(said);
    let mut moods = shared.mood.subscribe();
    if shared.failing.lock().unwrap().contains(&path) {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    }
    let mood = moods.wait_for(|mood| *mood != Mood::Silent).await.unwrap().clone();
    match mood {
        Mood::Status(status) => StatusCode::from_u16(status).unwrap().into_response(),
        Mood::Garbage => "<html>not a schema</html>".into_response(),
        Mood::Redirect(to) => (StatusCode::FOUND, [(header::LOCATION, to)]).into_response(),
        Mood::Well | Mood::Silent => {
            let document = shared.documents.lock().unwrap().get(&path).cloned();
            document.map_or_else(|| StatusCode::NOT_FOUND.into_response(), |it| it.into_response())
        }
    }
}
