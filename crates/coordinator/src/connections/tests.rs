use std::net::Ipv4Addr;

use axum::body::{Body, Bytes};
use http_body::Body as _;

use super::*;

const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

fn connections(total: usize) -> Arc<Connections> {
    Connections::new(Limits { total, per_address: total / 2 })
}

fn tick(connections: &Connections, ticks: u32) {
    connections.clock.fetch_add(ticks, Relaxed);
}

fn overdue(state: &State) -> Option<&'static str> {
    state.overdue(state.now(), false)
}

#[test]
fn connections_are_limited_in_total_and_per_address() {
    let all = connections(4);
    let there = IpAddr::from([192, 0, 2, 1]);
    let first = all.admit(HERE, false).unwrap();
    let _second = all.admit(HERE, false).unwrap();
    assert_eq!(all.admit(HERE, false).unwrap_err(), LimitReached::PerAddress);
    drop(first);
    let _third = all.admit(HERE, false).unwrap();
    let _fourth = all.admit(HERE, true).expect("a proxy has many clients");
    let _fifth = all.admit(there, false).unwrap();
    assert_eq!(all.admit(there, true).unwrap_err(), LimitReached::Total);
    assert_eq!(all.open(), 4);
}

#[tokio::test]
async fn memory_of_all_bodies_is_limited() {
    let slot = connections(2).admit(HERE, false).unwrap();
    // Nothing writes to it, so it takes no memory.
    let large = Bytes::from(vec![0; usize::try_from(MAX_BODY_MEMORY / 2 + 1).unwrap()]);
    let counted = |is_kept| CountedBody::new(Body::from(large.clone()), slot.state(), is_kept);
    let read = async |body: &mut CountedBody<Body>| {
        std::future::poll_fn(|context| Pin::new(&mut *body).poll_frame(context)).await.unwrap().map(drop)
    };
    let (mut first, memory) = counted(true);
    read(&mut first).await.unwrap();
    let exceeded = read(&mut counted(true).0).await.unwrap_err();
    assert!(exceeded.is::<BodyMemoryExceeded>(), "{exceeded}");
    read(&mut counted(false).0).await.expect("streamed bytes are not counted");
    drop((first, memory));
    read(&mut counted(true).0).await.expect("the first was dropped");
}

#[test]
fn limits_follow_the_limit_on_open_files() {
    assert_eq!(Limits::within(1024), Limits { total: 896, per_address: 448 });
    assert_eq!(Limits::within(u64::MAX), Limits { total: MAX_TOTAL, per_address: MAX_PER_ADDRESS });
    assert_eq!(Limits::within(10).total, 64);
}

#[test]
fn connection_without_a_request_is_closed_soon() {
    let all = connections(4);
    let state = all.admit(HERE, false).unwrap().state();
    tick(&all, FIRST_REQUEST);
    assert_eq!(overdue(&state), None);
    tick(&all, 1);
    state.received.store(state.now(), Relaxed);
    assert_eq!(overdue(&state), Some("no request arrived"), "an incomplete head does not count");
}

#[test]
fn held_request_has_no_timeout_but_an_idle_connection_has() {
    let all = connections(4);
    let state = all.admit(HERE, false).unwrap().state();
    let in_flight = state.begin();
    tick(&all, 100_000);
    assert_eq!(overdue(&state), None);
    drop(in_flight);
    tick(&all, IDLE_UNDER_LOAD + 1);
    assert_eq!(overdue(&state), None);
    assert!(state.overdue(state.now(), true).is_some(), "under load");
    tick(&all, IDLE);
    assert_eq!(overdue(&state), Some("the connection is idle"));
    state.sent.store(state.now(), Relaxed);
    assert_eq!(overdue(&state), None, "an event stream stays open");
}

#[test]
fn unread_response_closes_the_connection() {
    let all = connections(4);
    let slot = all.admit(HERE, false).unwrap();
    let monitored = Monitored::new((), slot.state());
    let _in_flight = slot.state().begin();
    assert!(monitored.record_sent(Poll::Pending).is_pending());
    tick(&all, UNREAD_RESPONSE + 1);
    assert_eq!(overdue(&slot.state()), Some("the peer does not read the response"));
    assert!(monitored.record_sent(Poll::Ready(Ok(1))).is_ready());
    assert_eq!(overdue(&slot.state()), None);
}

#[test]
fn slow_body_closes_the_connection() {
    let all = connections(4);
    let state = all.admit(HERE, false).unwrap().state();
    let _in_flight = state.begin();
    state.body_since.store(state.now(), Relaxed);
    state.wants_body.store(true, Relaxed);
    let receive = |bytes| {
        state.received.store(state.now(), Relaxed);
        state.body_bytes.fetch_add(bytes, Relaxed);
    };
    tick(&all, SILENT_BODY);
    assert_eq!(overdue(&state), None);
    receive(1);
    tick(&all, 1);
    assert!(overdue(&state).is_some(), "the rate is too low");
    receive(BODY_RATE * 60);
    assert_eq!(overdue(&state), None);
    tick(&all, SILENT_BODY + 1);
    assert!(overdue(&state).is_some(), "it has been silent for too long");
}
