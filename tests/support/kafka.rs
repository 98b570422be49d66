//! A real Apache Kafka: one broker or several, each of them controller as well (KRaft), on free local ports.
//!
//! No broker survives the tests, however they end: see [`Guardian`].

use std::fs::{self, File};
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::thread;
use std::time::{Duration, Instant};

use kafka_protocol::messages::MetadataRequest;
use tempfile::TempDir;

use super::guardian::Guardian;
use super::java;
use super::process;
use super::raw_client::RawClient;

/// Brokers that belong together; they end on drop.
#[derive(Debug)]
pub struct Kafka {
    /// Before the folder: the guardian kills the brokers, then nobody writes there any more.
    guardian: Guardian,
    brokers: Vec<Broker>,
    folder: TempDir,
}

/// What can be asked of a cluster when it is started.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// How many brokers; their node ids are 1, 2, 3 …
    pub brokers: usize,
    /// Whether there is a listener with logins too (SASL_PLAINTEXT): by PLAIN, SCRAM-SHA-256, SCRAM-SHA-512 and
    /// OAUTHBEARER with unsigned tokens, for [`USERS`].
    pub sasl: bool,
    /// Lines that override those of `server.properties`.
    pub properties: Vec<(String, String)>,
    /// Listeners beside the one in the clear, as name and security protocol (`("MTLS", "SSL")`); their settings are among
    /// the properties (`listener.name.mtls.ssl.client.auth`).
    pub listeners: Vec<(&'static str, &'static str)>,
    /// Plugins that the brokers shall find beside their jars.
    pub plugins: Option<PathBuf>,
    /// The version of Kafka; [`java::CURRENT`] otherwise.
    pub version: Option<&'static str>,
}

/// The one broker that the tests of a binary share; it must not be stopped.
pub fn shared_single() -> Option<&'static Kafka> {
    static KAFKA: OnceLock<Result<Kafka, String>> = OnceLock::new();
    shared(&KAFKA, 1)
}

/// The cluster of three that the tests of a binary share; none of it must be stopped.
pub fn shared_cluster() -> Option<&'static Kafka> {
    static KAFKA: OnceLock<Result<Kafka, String>> = OnceLock::new();
    shared(&KAFKA, 3)
}

fn shared(
    cell: &'static OnceLock<Result<Kafka, String>>,
    brokers: usize,
) -> Option<&'static Kafka> {
    let jars = java::kafka_jars(java::CURRENT)?;
    let options = Options { brokers, ..Options::default() };
    // A start that failed is not tried again by every test.
    let kafka = cell.get_or_init(|| Kafka::start(&jars, &options));
    Some(kafka.as_ref().unwrap_or_else(|why| panic!("{why}")))
}

impl Kafka {
    /// One broker of the test's own.
    pub fn single() -> Option<Self> {
        Self::with(&Options { brokers: 1, ..Options::default() })
    }

    /// `brokers` brokers of the test's own.
    pub fn cluster(brokers: usize) -> Option<Self> {
        Self::with(&Options { brokers, ..Options::default() })
    }

    /// Brokers with settings of the test's own.
    pub fn with(options: &Options) -> Option<Self> {
        let jars = java::kafka_jars(options.version.unwrap_or(java::CURRENT))?;
        Some(Self::start(&jars, options).unwrap_or_else(|why| panic!("{why}")))
    }

    /// What a client puts into `bootstrap.servers`.
    pub fn bootstrap(&self) -> String {
        let addresses: Vec<_> = self.addresses().iter().map(ToString::to_string).collect();
        addresses.join(",")
    }

    /// Where the brokers listen, by ascending node id.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.brokers.iter().map(Broker::address).collect()
    }

    /// Where the broker with this node id listens.
    pub fn address(&self, node_id: i32) -> SocketAddr {
        self.broker(node_id).address()
    }

    /// Where the broker with this node id listens under the name of one of [`Options::listeners`].
    pub fn listener(&self, node_id: i32, name: &str) -> SocketAddr {
        let more = &self.broker(node_id).more;
        let found = more.iter().find(|(other, _, _)| *other == name);
        (Ipv4Addr::LOCALHOST, found.expect("a listener of this cluster").2).into()
    }

    /// Where the brokers listen for clients that log in, by ascending node id.
    pub fn sasl_addresses(&self) -> Vec<SocketAddr> {
        let port = |broker: &Broker| broker.sasl_port.expect("brokers with `Options::sasl`");
        self.brokers.iter().map(|broker| (Ipv4Addr::LOCALHOST, port(broker)).into()).collect()
    }

    /// The node ids, ascending.
    pub fn node_ids(&self) -> Vec<i32> {
        self.brokers.iter().map(|broker| broker.node_id).collect()
    }

    /// What a broker has logged so far.
    pub fn log(&self, node_id: i32) -> String {
        self.broker(node_id).log()
    }

    /// Ends a broker as an orderly shutdown does, and waits for it.
    pub fn stop(&mut self, node_id: i32) {
        self.signal(node_id, "TERM");
        self.reap(node_id);
    }

    /// Ends a broker as a crash does.
    pub fn kill(&mut self, node_id: i32) {
        self.signal(node_id, "KILL");
        self.reap(node_id);
    }

    /// Freezes a broker: its connections stay open, nothing is read or answered.
    pub fn pause(&mut self, node_id: i32) {
        self.signal(node_id, "STOP");
    }

    /// Lets a frozen broker go on.
    pub fn resume(&mut self, node_id: i32) {
        self.signal(node_id, "CONT");
    }

    /// Starts a broker that was stopped or killed, on the same ports and data, and waits until it serves.
    pub fn restart(&mut self, node_id: i32) {
        let brokers = self.brokers.len();
        let guardian = &self.guardian;
        let broker = self.brokers.iter_mut().find(|broker| broker.node_id == node_id);
        let broker = broker.expect("a node of this cluster");
        let end = Instant::now() + START_DEADLINE;
        loop {
            broker.spawn(guardian).expect("java can be run");
            match broker.wait_ready(brokers, end) {
                Ok(()) => return,
                // Somebody may use the port for an outgoing connection of a moment.
                Err(NotReady::PortTaken) if Instant::now() < end => broker.forget(guardian),
                Err(why) => panic!("{}", broker.failure(&why)),
            }
        }
    }

    fn start(jars: &Path, options: &Options) -> Result<Self, String> {
        let attempts = (0..PORT_ATTEMPTS).map(|_| Self::start_on_free_ports(jars, options));
        let mut ports_taken = String::from("no attempt was made");
        for attempt in attempts {
            match attempt {
                Err((NotReady::PortTaken, report)) => ports_taken = report,
                other => return other.map_err(|(_, report)| report),
            }
        }
        Err(ports_taken)
    }

    fn start_on_free_ports(jars: &Path, options: &Options) -> Result<Self, (NotReady, String)> {
        let folder = tempfile::Builder::new().prefix("kafka-").tempdir().expect("a folder");
        let guardian = Guardian::of(folder.path());
        let mut kafka = Self { guardian, brokers: Vec::new(), folder };
        kafka.brokers = lay_out(jars, kafka.folder.path(), options);
        let report = |broker: &Broker, why: NotReady| {
            let report = broker.failure(&why);
            (why, report)
        };
        format_storage(&kafka.brokers, options).map_err(|e| (NotReady::Format, e))?;
        for broker in &mut kafka.brokers {
            broker.spawn(&kafka.guardian).expect("java can be run");
        }
        let end = Instant::now() + START_DEADLINE;
        for broker in &mut kafka.brokers {
            broker.wait_ready(options.brokers, end).map_err(|why| report(broker, why))?;
        }
        Ok(kafka)
    }

    fn broker(&self, node_id: i32) -> &Broker {
        let found = self.brokers.iter().find(|broker| broker.node_id == node_id);
        found.expect("a node of this cluster")
    }

    /// Sends a signal; `kill` is a program because the crate has no unsafe code.
    fn signal(&mut self, node_id: i32, signal: &str) {
        let process = self.broker(node_id).process.as_ref().expect("a broker that runs").id();
        let sent = Command::new("kill").args(["-s", signal, &process.to_string()]).status();
        assert!(sent.is_ok_and(|status| status.success()), "no SIG{signal} for node {node_id}");
    }

    fn reap(&mut self, node_id: i32) {
        let broker = self.brokers.iter_mut().find(|broker| broker.node_id == node_id);
        broker.expect("a node of this cluster").forget(&self.guardian);
    }
}

impl Drop for Kafka {
    fn drop(&mut self) {
        for broker in &mut self.brokers {
            if let Some(process) = broker.process.as_mut() {
                process.kill().ok();
            }
            broker.forget(&self.guardian);
        }
    }
}

/// One process.
#[derive(Debug)]
struct Broker {
    node_id: i32,
    port: u16,
    /// Name, security protocol and port of further listeners.
    more: Vec<(&'static str, &'static str, u16)>,
    sasl_port: Option<u16>,
    class_path: String,
    /// Configuration, data and log.
    folder: PathBuf,
    process: Option<Child>,
}

/// Why a broker does not serve.
#[derive(Debug)]
enum NotReady {
    Deadline,
    Ended,
    Format,
    PortTaken,
}

impl Broker {
    fn address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.port).into()
    }

    fn properties(&self) -> PathBuf {
        self.folder.join("server.properties")
    }

    fn log_file(&self) -> PathBuf {
        self.folder.join("broker.log")
    }

    fn log(&self) -> String {
        String::from_utf8_lossy(&fs::read(self.log_file()).unwrap_or_default()).into_owned()
    }

    fn java(&self) -> Command {
        let mut java = Command::new("java");
        java.args(["-Xms64m", "-Xmx384m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"]);
        java.args([
            "-Djava.net.preferIPv4Stack=true",
            "-Dorg.slf4j.simpleLogger.showDateTime=true",
        ]);
        java.args(["-cp", &self.class_path]);
        java
    }

    fn spawn(&mut self, guardian: &Guardian) -> io::Result<()> {
        let log = File::create(self.log_file())?;
        let mut java = self.java();
        java.arg("kafka.Kafka").arg(self.properties());
        java.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        // A Ctrl-C in the terminal ends the tests; the guardian then ends the broker, and cleans up after it.
        let process = java.process_group(0).spawn()?;
        guardian.watch(process.id());
        self.process = Some(process);
        Ok(())
    }

    /// Waits for the end of the process.
    fn forget(&mut self, guardian: &Guardian) {
        if let Some(mut process) = self.process.take() {
            guardian.forget(process.id());
            process.wait().ok();
        }
    }

    /// Ready means: it answers, and knows of all brokers.
    fn wait_ready(&mut self, brokers: usize, end: Instant) -> Result<(), NotReady> {
        while Instant::now() < end {
            let process = self.process.as_mut().expect("a broker that was spawned");
            if process.try_wait().expect("a child can be waited for").is_some() {
                let is_taken = self.log().contains("Address already in use");
                return Err(if is_taken { NotReady::PortTaken } else { NotReady::Ended });
            }
            if self.known_brokers().is_ok_and(|known| known == brokers) {
                return Ok(());
            }
            thread::sleep(Duration::from_millis(50));
        }
        Err(NotReady::Deadline)
    }

    fn known_brokers(&self) -> io::Result<usize> {
        let mut client = RawClient::connect(self.address())?;
        Ok(client
            .call(&MetadataRequest::default().with_topics(Some(Vec::new())), 12)?
            .brokers
            .len())
    }

    fn failure(&self, why: &NotReady) -> String {
        let log = self.log();
        let lines: Vec<_> = log.lines().collect();
        let tail = lines[lines.len().saturating_sub(60)..].join("\n");
        format!("broker {} does not serve ({why:?}); the end of its log:\n{tail}", self.node_id)
    }
}

/// Writes the configuration of each broker, with ports that are free at this moment.
fn lay_out(jars: &Path, folder: &Path, options: &Options) -> Vec<Broker> {
    let free = || TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    // All are held until all are chosen, so that none is chosen twice.
    let more = options.listeners.len();
    let held: Vec<_> = (0..options.brokers * (3 + more)).map(|_| free()).collect();
    let ports: Vec<_> = held.iter().map(|at| at.local_addr().expect("bound").port()).collect();
    let (client_ports, ports) = ports.split_at(options.brokers);
    let (controller_ports, ports) = ports.split_at(options.brokers);
    let (sasl_ports, more_ports) = ports.split_at(options.brokers);
    let mut more_ports = more_ports.iter().copied();
    let voters: Vec<_> = (1..)
        .zip(controller_ports)
        .map(|(node, port)| format!("{node}@127.0.0.1:{port}"))
        .collect();
    let plugins = options.plugins.as_ref().map(|folder| format!("{}:", folder.display()));
    let class_path = format!("{}{}/*", plugins.unwrap_or_default(), jars.display());
    let broker = |((node_id, &port), &controller_port): ((i32, &u16), &u16)| {
        let folder = folder.join(node_id.to_string());
        fs::create_dir(&folder).expect("a folder for the broker");
        let broker = Broker {
            node_id,
            port,
            sasl_port: options.sasl.then(|| sasl_ports[node_id as usize - 1]),
            more: options
                .listeners
                .iter()
                .zip(more_ports.by_ref().take(more))
                .map(|((name, protocol), port)| (*name, *protocol, port))
                .collect(),
            class_path: class_path.clone(),
            folder,
            process: None,
        };
        let text = server_properties(&broker, controller_port, &voters, options);
        fs::write(broker.properties(), text).expect("a configuration for the broker");
        broker
    };
    (1..).zip(client_ports).zip(controller_ports).map(broker).collect()
}

fn server_properties(
    broker: &Broker,
    controller_port: u16,
    voters: &[String],
    options: &Options,
) -> String {
    let Broker { node_id, port, more, folder, .. } = broker;
    let at = |(name, _, port): &(&str, &str, u16)| format!(",{name}://127.0.0.1:{port}");
    let more_listeners: String = more.iter().map(at).collect();
    let more_protocols: String =
        more.iter().map(|(name, protocol, _)| format!(",{name}:{protocol}")).collect();
    let replicas = options.brokers.min(3);
    let in_sync = options.brokers.min(2);
    let mut text = format!(
        "process.roles=broker,controller
node.id={node_id}
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller_port}{more_listeners}
advertised.listeners=PLAINTEXT://127.0.0.1:{port}{more_listeners}
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT{more_protocols}
controller.listener.names=CONTROLLER
inter.broker.listener.name=PLAINTEXT
controller.quorum.voters={}
log.dirs={}
offsets.topic.replication.factor={replicas}
transaction.state.log.replication.factor={replicas}
transaction.state.log.min.isr={in_sync}
share.coordinator.state.topic.replication.factor={replicas}
share.coordinator.state.topic.min.isr={in_sync}
{DEFAULTS}",
        voters.join(","),
        folder.join("data").display(),
    );
    if let Some(sasl_port) = broker.sasl_port {
        text.push_str(&sasl_properties(*port, sasl_port, controller_port));
    }
    // A later line wins over an earlier one.
    for (key, value) in &options.properties {
        text.push_str(&format!("{key}={value}\n"));
    }
    text
}

/// A second listener, with logins.
fn sasl_properties(port: u16, sasl_port: u16, controller_port: u16) -> String {
    let security = "org.apache.kafka.common.security";
    let users: String =
        USERS.iter().map(|(name, password)| format!(" user_{name}=\"{password}\"")).collect();
    let listener = "listener.name.sasl_plaintext";
    format!(
        "listeners=PLAINTEXT://127.0.0.1:{port},SASL_PLAINTEXT://127.0.0.1:{sasl_port},CONTROLLER://127.0.0.1:{controller_port}
advertised.listeners=PLAINTEXT://127.0.0.1:{port},SASL_PLAINTEXT://127.0.0.1:{sasl_port}
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,SASL_PLAINTEXT:SASL_PLAINTEXT,CONTROLLER:PLAINTEXT
{listener}.sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-256,SCRAM-SHA-512,OAUTHBEARER
{listener}.plain.sasl.jaas.config={security}.plain.PlainLoginModule required{users};
{listener}.scram-sha-256.sasl.jaas.config={security}.scram.ScramLoginModule required;
{listener}.scram-sha-512.sasl.jaas.config={security}.scram.ScramLoginModule required;
{listener}.oauthbearer.sasl.jaas.config={security}.oauthbearer.OAuthBearerLoginModule required unsecuredLoginStringClaim_sub=\"broker\";
connection.failed.authentication.delay.ms=10
"
    )
}

/// Gives each broker an empty log that belongs to the same cluster; all at once, each takes a second.
fn format_storage(brokers: &[Broker], options: &Options) -> Result<(), String> {
    let format = |broker: &Broker| {
        let mut java = broker.java();
        java.args(["kafka.tools.StorageTool", "format", "-t", CLUSTER_ID, "-c"]);
        java.arg(broker.properties());
        if options.sasl {
            for ((name, password), hash) in
                USERS.iter().flat_map(|user| [256, 512].map(|hash| (user, hash)))
            {
                let user = format!("[name={name},iterations=4096,password={password}]");
                java.args(["--add-scram", &format!("SCRAM-SHA-{hash}={user}")]);
            }
        }
        process::run(&mut java, "", START_DEADLINE).ok().map(drop)
    };
    thread::scope(|scope| {
        let running: Vec<_> = brokers.iter().map(|broker| scope.spawn(|| format(broker))).collect();
        running.into_iter().try_for_each(|thread| thread.join().expect("formatting does not panic"))
    })
}

/// Small and quick, and no surprise: topics are created by the tests, a dead broker is noticed within seconds.
const DEFAULTS: &str = "auto.create.topics.enable=false
broker.heartbeat.interval.ms=1000
broker.session.timeout.ms=6000
group.initial.rebalance.delay.ms=0
group.streams.initial.rebalance.delay.ms=0
log.cleaner.dedupe.buffer.size=8388608
log.retention.ms=-1
num.io.threads=4
num.network.threads=2
offsets.topic.num.partitions=2
share.coordinator.state.topic.num.partitions=2
transaction.state.log.num.partitions=2
unclean.leader.election.enable=false
";
const CLUSTER_ID: &str = "4L6g3nShT-eMCtK--X86sw";
/// Who may log in, and by which password.
pub const USERS: [(&str, &str); 2] = [("alice", "alice-secret"), ("bob", "bob-secret")];
const PORT_ATTEMPTS: usize = 5;
const START_DEADLINE: Duration = Duration::from_secs(120);
