//! Password hashes, on threads of their own.

use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use argon2::Argon2;
use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher as _, PasswordVerifier as _};
use mitosis_domain::entropy::Entropy;
use mitosis_protocol::{ErrorCode, Md5Password};
use tokio::sync::{mpsc, oneshot};

use crate::error::{ApiError, Refusal};

/// Each hash takes 19 MiB and some 20 ms of a core. A thread does one after the other, whether or not the
/// caller still waits, so this bounds the memory whatever callers do.
const THREADS: usize = 2;
/// Passwords that may wait for a thread: some ten seconds of work.
const LINE: usize = 1024;

type Job = Box<dyn FnOnce() + Send>;
type Line = Arc<Mutex<mpsc::Receiver<Job>>>;

/// Hashes with Argon2id and its recommended cost.
pub(crate) struct Passwords {
    line: mpsc::Sender<Job>,
    entropy: Arc<dyn Entropy>,
    /// Checked when the user is unknown, so that a login takes as long as for a known one.
    nobody: String,
}

/// Too many passwords wait to be hashed.
#[derive(Debug)]
pub(crate) struct Busy;

impl From<Busy> for ApiError {
    fn from(Busy: Busy) -> Self {
        Refusal::new(ErrorCode::Unavailable, "too many passwords wait to be checked")
            .hint("nothing was changed; try again in some seconds")
            .into()
    }
}

impl Passwords {
    /// Starts the threads; they end when this is dropped.
    pub(crate) fn new(entropy: Arc<dyn Entropy>) -> std::io::Result<Self> {
        Self::with_line(entropy, LINE)
    }

    fn with_line(entropy: Arc<dyn Entropy>, length: usize) -> std::io::Result<Self> {
        let (line, jobs) = mpsc::channel(length);
        let jobs = Arc::new(Mutex::new(jobs));
        for _ in 0..THREADS {
            let jobs: Line = jobs.clone();
            thread::Builder::new().name("password".to_owned()).spawn(move || work(&jobs))?;
        }
        let nobody = hash(&[0; 16], &salt(&*entropy));
        Ok(Self { line, entropy, nobody })
    }

    /// The PHC string to store for a password.
    pub(crate) async fn hash(&self, password: &Md5Password) -> Result<String, Busy> {
        let (password, salt) = (*password.expose(), salt(&*self.entropy));
        self.in_line(move || hash(&password, &salt)).await
    }

    /// Whether a password is the one that was stored; `None` for a user that does not exist takes as
    /// long and is never right.
    pub(crate) async fn verify(&self, password: &Md5Password, stored: Option<&str>) -> Result<bool, Busy> {
        let known = stored.is_some();
        let (password, stored) = (*password.expose(), stored.unwrap_or(&self.nobody).to_owned());
        Ok(self.in_line(move || verify(&password, &stored)).await? && known)
    }

    async fn in_line<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, Busy> {
        let (answer, answered) = oneshot::channel();
        // Whether somebody still waits for the answer is not the thread's concern.
        let job = Box::new(move || drop(answer.send(work())));
        self.line.try_send(job).map_err(|_| Busy)?;
        answered.await.map_err(|_| Busy)
    }
}

fn work(jobs: &Line) {
    loop {
        let next = jobs.lock().unwrap_or_else(PoisonError::into_inner).blocking_recv();
        match next {
            Some(job) => job(),
            None => return,
        }
    }
}

/// A password that can be set: any but the empty one.
pub(crate) fn settable(password: &Md5Password) -> Result<&Md5Password, Refusal> {
    match password.is_empty() {
        true => Err(Refusal::invalid("the password is empty").hint("choose one that nobody guesses")),
        false => Ok(password),
    }
}

fn salt(entropy: &dyn Entropy) -> [u8; 16] {
    let mut salt = [0; 16];
    entropy.fill(&mut salt);
    salt
}

fn hash(password: &[u8; 16], salt: &[u8; 16]) -> String {
    Argon2::default()
        .hash_password_with_salt(password, salt)
        .expect("sixteen bytes and the recommended cost are always accepted")
        .to_string()
}

fn verify(password: &[u8; 16], stored: &str) -> bool {
    PasswordHash::new(stored).is_ok_and(|stored| Argon2::default().verify_password(password, &stored).is_ok())
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::mpsc as blocking;
    use std::time::Duration;

    use mitosis_domain::entropy::OsEntropy;

    use super::*;

    #[tokio::test]
    async fn only_the_right_password_of_a_known_user_is_right() {
        let passwords = Passwords::new(Arc::new(OsEntropy)).unwrap();
        let (right, wrong) = (Md5Password::from_digest([1; 16]), Md5Password::from_digest([2; 16]));
        let stored = passwords.hash(&right).await.unwrap();
        assert!(stored.starts_with("$argon2id$v=19$"));
        assert_ne!(stored, passwords.hash(&right).await.unwrap(), "every hash has its own salt");
        assert!(passwords.verify(&right, Some(&stored)).await.unwrap());
        assert!(!passwords.verify(&wrong, Some(&stored)).await.unwrap());
        assert!(!passwords.verify(&Md5Password::from_digest([0; 16]), None).await.unwrap());
        assert!(!passwords.verify(&right, Some("nonsense")).await.unwrap());
    }

    /// The time that an answer takes must not tell which names exist.
    #[tokio::test]
    async fn unknown_user_takes_as_long_as_a_known_one() {
        let passwords = Passwords::new(Arc::new(OsEntropy)).unwrap();
        let password = Md5Password::from_digest([1; 16]);
        let stored = passwords.hash(&password).await.unwrap();
        let mut shortest = [Duration::MAX; 2];
        for _ in 0..3 {
            for (shortest, stored) in shortest.iter_mut().zip([Some(&*stored), None]) {
                let begun = tokio::time::Instant::now();
                passwords.verify(&password, stored).await.unwrap();
                *shortest = begun.elapsed().min(*shortest);
            }
        }
        let [known, unknown] = shortest;
        assert!(unknown * 3 > known, "{unknown:?} for an unknown user, {known:?} for a known one");
    }

    /// Work of callers that are gone still counts: it is bounded in number and in what waits.
    #[tokio::test]
    async fn work_of_hung_up_callers_is_bounded() {
        let passwords = Passwords::with_line(Arc::new(OsEntropy), 3).unwrap();
        let running = Arc::new(AtomicUsize::new(0));
        let (started, starts) = blocking::channel();
        let (release, gate) = blocking::channel::<()>();
        let gate = Arc::new(Mutex::new(gate));
        let mut accepted = 0;
        for _ in 0..20 {
            let (running, started, gate) = (running.clone(), started.clone(), gate.clone());
            let job = passwords.in_line(move || {
                running.fetch_add(1, Ordering::SeqCst);
                started.send(()).unwrap();
                let _ = gate.lock().unwrap().recv();
                running.fetch_sub(1, Ordering::SeqCst);
            });
            let mut job = Box::pin(job);
            match futures_util::poll!(&mut job) {
                std::task::Poll::Pending => accepted += 1,
                std::task::Poll::Ready(outcome) => assert!(outcome.is_err()),
            }
            if accepted <= THREADS {
                starts.recv().unwrap();
            }
        }
        assert_eq!(accepted, THREADS + 3);
        let more = starts.recv_timeout(Duration::from_millis(300));
        assert!(more.is_err(), "what waits is taken by no further thread");
        assert_eq!(running.load(Ordering::SeqCst), THREADS);
        drop(release);
    }
}
