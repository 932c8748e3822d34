use std::net::Ipv4Addr;

use axum::body::{Body, Bytes};
use http_body::Body as _;

use super::*;

const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

fn connections(total: usize) -> Arc<Connections> {
    Connections::new(Room { total, of_an_address: total / 2 })
}

fn tick(connections: &Connections, ticks: u32) {
    connections.clock.fetch_add(ticks, Relaxed);
}

fn overdue(state: &State) -> Option<&'static str> {
    state.overdue(state.now(), false)
}

#[test]
fn seats_are_bounded_in_all_and_for_each_address() {
    let all = connections(4);
    let there = IpAddr::from([192, 0, 2, 1]);
    let first = all.admit(HERE, false).unwrap();
    let _second = all.admit(HERE, false).unwrap();
    assert_eq!(all.admit(HERE, false).unwrap_err(), Full::FromThere);
    drop(first);
    let _third = all.admit(HERE, false).unwrap();
    let _fourth = all.admit(HERE, true).expect("a proxy speaks for many");
    let _fifth = all.admit(there, false).unwrap();
    assert_eq!(all.admit(there, true).unwrap_err(), Full::Everywhere);
    assert_eq!(all.open(), 4);
}

#[tokio::test]
async fn bodies_that_are_kept_are_bounded_together() {
    let seat = connections(2).admit(HERE, false).unwrap();
    // Nothing writes to it, so it takes no memory.
    let large = Bytes::from(vec![0; usize::try_from(BODIES / 2 + 1).unwrap()]);
    let counted = |is_kept| Counted::new(Body::from(large.clone()), seat.state(), is_kept);
    let read = async |body: &mut Counted<Body>| {
        std::future::poll_fn(|context| Pin::new(&mut *body).poll_frame(context)).await.unwrap().map(drop)
    };
    let (mut first, share) = counted(true);
    read(&mut first).await.unwrap();
    let refused = read(&mut counted(true).0).await.unwrap_err();
    assert!(refused.is::<TooMuchAtOnce>(), "{refused}");
    read(&mut counted(false).0).await.expect("what is passed on is not kept");
    drop((first, share));
    read(&mut counted(true).0).await.expect("the first is gone");
}

#[test]
fn room_follows_the_limit_on_open_files() {
    assert_eq!(Room::within(1024), Room { total: 896, of_an_address: 448 });
    assert_eq!(Room::within(u64::MAX), Room { total: MOST, of_an_address: MOST_OF_AN_ADDRESS });
    assert_eq!(Room::within(10).total, 64);
}

#[test]
fn connection_without_a_request_is_closed_soon() {
    let all = connections(4);
    let state = all.admit(HERE, false).unwrap().state();
    tick(&all, FIRST_REQUEST);
    assert_eq!(overdue(&state), None);
    tick(&all, 1);
    state.received.store(state.now(), Relaxed);
    assert_eq!(overdue(&state), Some("no request came"), "bytes of a head that never ends don't count");
}

#[test]
fn held_request_has_no_limit_and_an_idle_connection_has_one() {
    let all = connections(4);
    let state = all.admit(HERE, false).unwrap().state();
    let under_way = state.begin();
    tick(&all, 100_000);
    assert_eq!(overdue(&state), None);
    drop(under_way);
    tick(&all, BETWEEN_REQUESTS_IN_A_CROWD + 1);
    assert_eq!(overdue(&state), None);
    assert!(state.overdue(state.now(), true).is_some(), "in a crowd");
    tick(&all, BETWEEN_REQUESTS);
    assert_eq!(overdue(&state), Some("no further request came"));
    state.sent.store(state.now(), Relaxed);
    assert_eq!(overdue(&state), None, "a stream of events goes on");
}

#[test]
fn answer_that_is_not_read_ends_the_connection() {
    let all = connections(4);
    let seat = all.admit(HERE, false).unwrap();
    let noted = Noted::new((), seat.state());
    let _under_way = seat.state().begin();
    assert!(noted.note_sent(Poll::Pending).is_pending());
    tick(&all, UNREAD_ANSWER + 1);
    assert_eq!(overdue(&seat.state()), Some("the answer is not read"));
    assert!(noted.note_sent(Poll::Ready(Ok(1))).is_ready());
    assert_eq!(overdue(&seat.state()), None);
}

#[test]
fn body_has_to_come_at_a_rate() {
    let all = connections(4);
    let state = all.admit(HERE, false).unwrap().state();
    let _under_way = state.begin();
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
    assert!(overdue(&state).is_some(), "a byte now and then is not enough");
    receive(BODY_RATE * 60);
    assert_eq!(overdue(&state), None);
    tick(&all, SILENT_BODY + 1);
    assert!(overdue(&state).is_some(), "nor is a lot, and then nothing");
}
