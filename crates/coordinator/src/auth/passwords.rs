//! Hashing of passwords, on dedicated threads.

use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use argon2::Argon2;
use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher as _, PasswordVerifier as _};
use mitosis_domain::entropy::Entropy;
use mitosis_protocol::{ErrorCode, Md5Password};
use tokio::sync::{mpsc, oneshot};

use crate::error::{ApiError, Rejection};

/// Threads that hash. Each hash takes 19 MiB and about 20 ms of a core, whether or not the caller still waits, so the
/// number of threads bounds the memory.
const THREADS: usize = 2;
/// Passwords that may wait for a thread: about ten seconds of work.
const QUEUE: usize = 1024;

type Job = Box<dyn FnOnce() + Send>;
type Jobs = Arc<Mutex<mpsc::Receiver<Job>>>;

/// Hashes passwords with Argon2id at its recommended cost.
pub(crate) struct Passwords {
    queue: mpsc::Sender<Job>,
    entropy: Arc<dyn Entropy>,
    /// The hash to check for an unknown user, so that a login takes as long as for a known one.
    dummy_hash: String,
}

/// The queue of passwords to hash is full.
#[derive(Debug)]
pub(crate) struct Busy;

impl From<Busy> for ApiError {
    fn from(Busy: Busy) -> Self {
        Rejection::new(ErrorCode::Unavailable, "too many password checks are waiting")
            .hint("nothing was changed; try again in a few seconds")
            .into()
    }
}

impl Passwords {
    /// Starts the threads. They end when the value is dropped.
    pub(crate) fn new(entropy: Arc<dyn Entropy>) -> std::io::Result<Self> {
        Self::with_queue(entropy, QUEUE)
    }

    fn with_queue(entropy: Arc<dyn Entropy>, length: usize) -> std::io::Result<Self> {
        let (queue, jobs) = mpsc::channel(length);
        let jobs = Arc::new(Mutex::new(jobs));
        for _ in 0..THREADS {
            let jobs: Jobs = jobs.clone();
            thread::Builder::new().name("password".to_owned()).spawn(move || work(&jobs))?;
        }
        let dummy_hash = hash(&[0; 16], &salt(&*entropy));
        Ok(Self { queue, entropy, dummy_hash })
    }

    /// Hashes a password. Returns the PHC string to store.
    pub(crate) async fn hash(&self, password: &Md5Password) -> Result<String, Busy> {
        let (password, salt) = (*password.expose(), salt(&*self.entropy));
        self.enqueue(move || hash(&password, &salt)).await
    }

    /// Verifies a password against a stored hash. `None`, for an unknown user, takes as long and always fails.
    pub(crate) async fn verify(&self, password: &Md5Password, stored: Option<&str>) -> Result<bool, Busy> {
        let known = stored.is_some();
        let (password, stored) = (*password.expose(), stored.unwrap_or(&self.dummy_hash).to_owned());
        Ok(self.enqueue(move || verify(&password, &stored)).await? && known)
    }

    async fn enqueue<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, Busy> {
        let (answer, answered) = oneshot::channel();
        // The caller may have cancelled the request.
        let job = Box::new(move || drop(answer.send(work())));
        self.queue.try_send(job).map_err(|_| Busy)?;
        answered.await.map_err(|_| Busy)
    }
}

fn work(jobs: &Jobs) {
    loop {
        let next = jobs.lock().unwrap_or_else(PoisonError::into_inner).blocking_recv();
        match next {
            Some(job) => job(),
            None => return,
        }
    }
}

/// Rejects the empty password.
pub(crate) fn non_empty(password: &Md5Password) -> Result<&Md5Password, Rejection> {
    match password.is_empty() {
        true => Err(Rejection::invalid("the password is empty").hint("choose a password")),
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
    async fn only_the_right_password_of_a_known_user_is_accepted() {
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

    /// The response time must not reveal which names exist.
    #[tokio::test]
    async fn unknown_user_takes_as_long_as_a_known_one() {
        let passwords = Passwords::new(Arc::new(OsEntropy)).unwrap();
        let password = Md5Password::from_digest([1; 16]);
        let stored = passwords.hash(&password).await.unwrap();
        let mut shortest = [Duration::MAX; 2];
        for _ in 0..3 {
            for (shortest, stored) in shortest.iter_mut().zip([Some(&*stored), None]) {
                let started = tokio::time::Instant::now();
                passwords.verify(&password, stored).await.unwrap();
                *shortest = started.elapsed().min(*shortest);
            }
        }
        let [known, unknown] = shortest;
        assert!(unknown * 3 > known, "{unknown:?} for an unknown user, {known:?} for a known one");
    }

    /// Jobs whose caller has disconnected still count towards the limits.
    #[tokio::test]
    async fn jobs_of_disconnected_callers_are_limited() {
        let passwords = Passwords::with_queue(Arc::new(OsEntropy), 3).unwrap();
        let running = Arc::new(AtomicUsize::new(0));
        let (started, starts) = blocking::channel();
        let (release, gate) = blocking::channel::<()>();
        let gate = Arc::new(Mutex::new(gate));
        let mut accepted = 0;
        for _ in 0..20 {
            let (running, started, gate) = (running.clone(), started.clone(), gate.clone());
            let job = passwords.enqueue(move || {
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
        assert!(more.is_err(), "no further thread takes a waiting job");
        assert_eq!(running.load(Ordering::SeqCst), THREADS);
        drop(release);
    }
}
