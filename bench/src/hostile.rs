//! One tenant works while others misbehave: how much of its rate remains, and what the coordinator uses.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use mitosis_client::{AccountKind, EarlierTokens, UserClient};
use mitosis_protocol::group::{RelationsRequest, Role};
use mitosis_protocol::task::{QueryTasksRequest, SubmitTasksRequest, TaskFilter};
use secrecy::{ExposeSecret as _, SecretString};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::JoinSet;

use crate::agents::raise_open_files;
use crate::mito::{Kind, Mito, task};
use crate::numbers::{Numbers, float};
use crate::table::{Table, millis, shown};
use crate::{Error, Plan, history, observe};

const SLOTS: usize = 4;
/// How many accounts misbehave.
const ACCOUNTS: usize = 50;
/// The source address of hostile connections; those of workers and users come from 127.0.0.1.
const STRANGER: &str = "127.0.0.2:0";
/// Time between two bytes of a slow connection.
const BYTE_PERIOD: Duration = Duration::from_secs(1);
/// Tasks in one submission of those that are cancelled.
const SUBMISSION: usize = 100_000;
/// The maximum time of one measurement under load.
const PERIOD: Duration = Duration::from_secs(60);

/// The load of the other accounts.
#[derive(Debug, Clone, Copy)]
enum Load {
    Nothing,
    /// Event streams without events.
    Streams(usize),
    /// Connections that never send anything.
    Idle(usize),
    /// Connections that send a byte of a header each second.
    Slow(usize),
    /// Concurrent counts over a long history.
    Counts(usize),
    /// Password checks whose client disconnects at once.
    HangUps(usize),
    /// A cancellation of all waiting tasks of a group.
    Cancel(usize),
}

impl Load {
    fn name(self) -> String {
        match self {
            Self::Nothing => "nothing".to_owned(),
            Self::Streams(count) => format!("{count} event streams"),
            Self::Idle(count) => format!("{count} idle connections"),
            Self::Slow(count) => format!("{count} slow connections"),
            Self::Counts(count) => format!("{count} hostile counts"),
            Self::HangUps(count) => format!("{count} logins hung up"),
            Self::Cancel(count) => format!("{count} tasks cancelled"),
        }
    }

    /// A cancellation outlasts a measurement, so it is not repeated.
    const fn rounds(self, plan: &Plan) -> usize {
        if matches!(self, Self::Cancel(_)) { 1 } else { plan.rounds }
    }
}

/// Medians of the rounds.
#[derive(Default)]
struct Rows {
    rate: Numbers,
    ratio: Numbers,
    submissions: Numbers,
    slowest: Numbers,
    used: Numbers,
    used_ratio: Numbers,
    load: Numbers,
    memory: Numbers,
    refused: usize,
}

impl Rows {
    fn add(&mut self, before: &Outcome, beside: &Outcome) {
        self.rate.add(beside.rate);
        self.ratio.add(beside.rate / before.rate);
        self.submissions.add(beside.submissions.median());
        self.slowest.add(beside.submissions.max());
        self.used.add(beside.used);
        self.used_ratio.add(beside.used / before.used);
        self.load.add(beside.load - before.load);
        self.memory.add(beside.memory);
        self.refused += beside.refused;
    }

    fn row(&self, load: Load, workers: usize) -> [String; 11] {
        [
            load.name(),
            shown(self.rate.median()),
            shown(self.ratio.median()),
            shown(self.submissions.median()),
            shown(self.slowest.max()),
            shown(self.used.median()),
            shown(self.used_ratio.median()),
            shown(self.load.median()),
            shown(self.memory.max() / 1e6),
            self.refused.to_string(),
            workers.to_string(),
        ]
    }
}

pub(crate) async fn measure(plan: &Plan) -> Result<(), Error> {
    let files = raise_open_files(plan.size(8_000, 800))?;
    let loads = [
        Load::Streams(plan.size(1_000, 50)),
        Load::Idle(plan.size(5_000, 300).min(files)),
        Load::Slow(plan.size(500, 50)),
        Load::Counts(40),
        Load::HangUps(plan.size(1_500, 100)),
        Load::Cancel(plan.size(4_500_000, 20_000)),
    ];
    for kind in Kind::BOTH {
        let system = System::start(plan, kind).await?;
        let mut table = Table::new(
            format!("{}: the rate of one tenant while others misbehave", kind.name()),
            &[
                "load",
                "tasks/s",
                "of before",
                "submit p50 ms",
                "submit max ms",
                "coordinator us",
                "of before",
                "load CPU",
                "memory MB",
                "refused",
                "workers",
            ],
        );
        for load in loads {
            let mut rows = Rows::default();
            for _ in 0..load.rounds(plan) {
                rows.add(&system.beside(Load::Nothing, plan).await?, &system.beside(load, plan).await?);
            }
            table.row(rows.row(load, system.mito.workers().await?));
        }
        table.print();
    }
    Ok(())
}

/// A system with a long history, a working tenant, and accounts that misbehave.
struct System {
    mito: Mito,
    others: Vec<UserClient>,
    tokens: Vec<String>,
    address: SocketAddr,
}

/// The result of one measurement.
struct Outcome {
    rate: f64,
    /// Milliseconds of each submission of one task during the load.
    submissions: Numbers,
    memory: f64,
    /// Microseconds of processor time of the coordinator for each of the tenant's tasks.
    used: f64,
    /// Processors that this program used, for the load and for measuring.
    load: f64,
    /// Requests of the others that were refused.
    refused: usize,
}

impl System {
    async fn start(plan: &Plan, kind: Kind) -> Result<Self, Error> {
        let mut mito = Mito::start(plan, kind).await?;
        let rows = plan.size(400_000, 20_000);
        mito.restart_around(async |database| history::fill(kind, database, rows).await).await?;
        mito.add_worker(SLOTS).await?;
        let (mut others, mut tokens) = (Vec::new(), Vec::new());
        for number in 0..ACCOUNTS {
            let name = format!("other-{number}");
            let password = SecretString::from(format!("password of {name}"));
            mito.user.create_user(&name, &password, AccountKind::User).await?;
            let token = mito.user.client().login(&name, &password, EarlierTokens::Retain).await?;
            tokens.push(token.expose_secret().to_owned());
            others.push(mito.user.client().with_user_token(token));
        }
        // One of the accounts may read the long history.
        let relations = [("other-1".to_owned(), Role::Read)].into();
        mito.user.set_members("mitosis_admin", &RelationsRequest { relations }).await?;
        let address = mito.user.client().address().trim_start_matches("http://").parse()?;
        Ok(Self { mito, others, tokens, address })
    }

    /// Measures the tenant's rate and response times during a load, which starts first.
    async fn beside(&self, load: Load, plan: &Plan) -> Result<Outcome, Error> {
        let pid = self.mito.coordinator();
        observe::forget_most_memory(pid)?;
        let mut running = JoinSet::new();
        self.begin(load, &mut running).await?;
        let count = plan.size(5_000, 100);
        let (used, own, begun) =
            (observe::cpu_seconds(pid)?, observe::cpu_seconds(std::process::id())?, Instant::now());
        let label = format!("beside {load:?} {:?}", Instant::now());
        let work = async {
            let begun = Instant::now();
            self.mito.submit(&task(&label, &["true"], 0), count).await?;
            self.mito.wait_for(&label, count).await?;
            Ok::<_, Error>(float(count as u64) / begun.elapsed().as_secs_f64())
        };
        let submissions = async {
            let mut spent = Numbers::default();
            loop {
                let begun = Instant::now();
                self.mito.submit(&task("probe", &["true"], 0), 1).await?;
                spent.add(millis(begun.elapsed()));
                tokio::time::sleep(Duration::from_millis(100)).await;
                if spent.count() >= plan.size(50, 5) {
                    return Ok::<_, Error>(spent);
                }
            }
        };
        let (rate, submissions) =
            tokio::time::timeout(PERIOD, async { tokio::try_join!(work, submissions) }).await??;
        let (_, memory) = observe::memory(pid)?;
        let used = (observe::cpu_seconds(pid)? - used) * 1e6 / float(count as u64);
        let load = (observe::cpu_seconds(std::process::id())? - own) / begun.elapsed().as_secs_f64();
        running.abort_all();
        let mut refused = 0;
        while let Some(ended) = running.join_next().await {
            refused += usize::from(matches!(ended, Ok(true)));
        }
        Ok(Outcome { rate, submissions, memory, used, load, refused })
    }

    /// Starts a load; each part returns whether it was refused.
    async fn begin(&self, load: Load, running: &mut JoinSet<bool>) -> Result<(), Error> {
        let address = self.address;
        match load {
            Load::Nothing => {}
            Load::Streams(count) => {
                for token in self.tokens.iter().cycle().take(count) {
                    running.spawn(listen(address, token.clone()));
                }
            }
            Load::Idle(count) => {
                for _ in 0..count {
                    running.spawn(send_slowly(address, ""));
                }
            }
            Load::Slow(count) => {
                for _ in 0..count {
                    running.spawn(send_slowly(address, "GET /health HTTP/1.1\r\nhost: x\r\nx-slow: "));
                }
            }
            Load::Counts(count) => {
                for _ in 0..count {
                    running.spawn(count_for_ever(self.others[1].clone()));
                }
            }
            Load::HangUps(count) => {
                running.spawn(hang_up(address, count));
            }
            Load::Cancel(count) => self.begin_to_cancel(count, running).await?,
        }
        // The initial work, such as connecting, is done.
        tokio::time::sleep(Duration::from_secs(1)).await;
        Ok(())
    }

    async fn begin_to_cancel(&self, count: usize, running: &mut JoinSet<bool>) -> Result<(), Error> {
        let other = self.others[0].clone();
        let mut waiting = task("bulk", &["true"], 0);
        "other-0".clone_into(&mut waiting.group_name);
        for from in (0..count).step_by(SUBMISSION) {
            let tasks = vec![waiting.clone(); SUBMISSION.min(count - from)];
            other.submit_many(&SubmitTasksRequest { tasks, idempotency_key: None }).await?;
        }
        running.spawn(async move { other.cancel_many(&TaskFilter::default()).await.is_err() });
        Ok(())
    }
}

/// Counts a history repeatedly by a condition without an index.
async fn count_for_ever(user: UserClient) -> bool {
    let filter = TaskFilter {
        group_name: Some("mitosis_admin".to_owned()),
        filter: Some("exit!=99 finished>-90000d".to_owned()),
        ..TaskFilter::default()
    };
    let question = QueryTasksRequest { filter, count: true, ..QueryTasksRequest::default() };
    loop {
        if user.query_tasks(&question).await.is_err() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

/// Logs in under unknown names, and disconnects before the reply.
async fn hang_up(address: SocketAddr, count: usize) -> bool {
    for number in 0..count {
        let body =
            format!(r#"{{"username":"unknown-{number}","md5_password":{:?},"retain":true}}"#, [0_u8; 16]);
        let request = format!(
            "POST /login HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n\
             content-length: {}\r\n\r\n{body}",
            body.len()
        );
        if let Ok(mut socket) = connect(address).await {
            // It may be closed already, which is equivalent.
            socket.write_all(request.as_bytes()).await.ok();
        }
    }
    false
}

async fn connect(address: SocketAddr) -> std::io::Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    socket.bind(STRANGER.parse().expect("an address"))?;
    socket.connect(address).await
}

/// Follows events until the connection ends; returns whether the first line is not a success.
async fn listen(address: SocketAddr, token: String) -> bool {
    let request = format!("GET /v1/events HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\n\r\n");
    let Ok(mut socket) = connect(address).await else { return true };
    let mut bytes = [0; 4096];
    if socket.write_all(request.as_bytes()).await.is_err() {
        return true;
    }
    let first = socket.read(&mut bytes).await.unwrap_or_default();
    if !bytes[..first].starts_with(b"HTTP/1.1 200") {
        return true;
    }
    while socket.read(&mut bytes).await.is_ok_and(|length| length > 0) {}
    false
}

/// Sends a prefix and then one byte at a time, over one connection after the other.
async fn send_slowly(address: SocketAddr, beginning: &'static str) -> bool {
    loop {
        if let Ok(mut socket) = connect(address).await
            && socket.write_all(beginning.as_bytes()).await.is_ok()
        {
            let mut nothing = [0; 1];
            loop {
                tokio::select! {
                    read = socket.read(&mut nothing) => match read {
                        Ok(length) if length > 0 => {}
                        _ => break,
                    },
                    () = tokio::time::sleep(BYTE_PERIOD) => {
                        if !beginning.is_empty() && socket.write_all(b"x").await.is_err() {
                            break;
                        }
                    }
                }
            }
        }
        tokio::time::sleep(BYTE_PERIOD).await;
    }
}
