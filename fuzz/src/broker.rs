//! The frames that workers and managers send to the broker, and its book of open requests.

use std::collections::BTreeMap;

use nowcast::broker::record::RecordedExchange;
use nowcast::broker::requests::Requests;
use nowcast::config::WireLimits;
use nowcast::net::socket::Frames;
use nowcast::net::{ManagerIdentity, envelope};
use nowcast_core::Ticket;

use super::input::Input;
use super::system;

const EPOCH: u64 = 7;

/// Limits that an input reaches soon.
fn limits() -> WireLimits {
    WireLimits {
        frames: 8,
        requests: 12,
        requests_per_client: 4,
        waiting_size: 2_000,
        ..WireLimits::default()
    }
}

/// Steps of the broker: requests, their delivery, replies, and a manager that connects again.
pub fn check(data: &[u8]) {
    check_texts(data);
    let mut broker = Requests::new(EPOCH);
    let limits = limits();
    // What it should have: each open request by its number, as the worker sent it, and the numbers that were sent in this turn.
    let mut open: BTreeMap<u64, Frames> = BTreeMap::new();
    let mut sent: Vec<u64> = Vec::new();
    let mut last = 0;
    let mut input = Input(data);
    while !input.is_empty() {
        match input.byte() % 8 {
            0..=2 => {
                let request = frames(&mut input);
                // The broker takes these only: others have no place for the reply.
                if !request.iter().any(Vec::is_empty) {
                    continue;
                }
                if broker.add(request.clone(), &limits).is_ok() {
                    last += 1;
                    open.insert(last, request);
                }
            }
            3 => {
                let expected = open.iter().find(|(number, _)| !sent.contains(number));
                let unsent = broker.next_to_send().cloned();
                assert_eq!(
                    unsent.as_ref().map(|frames| &frames[1..]),
                    expected.map(|(_, frames)| &frames[..])
                );
                if let (Some(frames), Some((number, _))) = (unsent, expected) {
                    assert_eq!(
                        Ticket::from_frame(&frames[0]),
                        Some(Ticket { epoch: EPOCH, number: *number })
                    );
                    sent.push(*number);
                    broker.mark_sent();
                }
            }
            4 => {
                let number = u64::from(input.byte());
                let Some(request) = open.get(&number) else { continue };
                // As a manager answers.
                let ticket = Ticket { epoch: EPOCH, number }.to_frame();
                let delivered = [vec![ticket], request.clone()].concat();
                let (mut reply, _) = envelope::open(delivered).expect("a request has an empty frame");
                reply.push(input.bytes().to_vec());
                let completed = broker.complete(reply).expect("the request is open");
                let (reply, whole) = (completed.reply, completed.request);
                assert_eq!((completed.number, &whole[1..]), (number, &request[..]));
                let end = request.iter().position(Vec::is_empty).expect("an empty frame");
                assert_eq!(reply[..=end], request[..=end], "the reply has the worker's envelope");
                assert!(broker.complete(whole).is_none(), "a reply passes once");
                open.remove(&number);
            }
            5 => {
                let count = broker.mark_unsent();
                assert_eq!(count, sent.iter().filter(|number| open.contains_key(number)).count());
                sent.clear();
            }
            6 => broker.reset_sent_bytes(),
            _ => {
                // A forged reply.
                let reply = frames(&mut input);
                let ticket = reply.first().and_then(|frame| Ticket::from_frame(frame));
                let number = ticket.filter(|ticket| ticket.epoch == EPOCH).map(|ticket| ticket.number);
                let is_open = number.is_some_and(|number| open.contains_key(&number));
                let completed = broker.complete(reply).map(|completed| completed.number);
                assert_eq!(completed, number.filter(|_| is_open));
                number.map(|number| open.remove(&number));
            }
        }
        assert_eq!(broker.len(), open.len());
        let size = open.values().flatten().map(Vec::len).sum::<usize>();
        assert!(open.len() <= limits.requests && size <= limits.waiting_size);
    }
    // Nothing of the book stays when all is answered.
    for number in open.into_keys() {
        let reply = vec![Ticket { epoch: EPOCH, number }.to_frame(), Vec::new()];
        assert!(broker.complete(reply).is_some());
    }
    let request = vec![b"worker".to_vec(), Vec::new(), vec![0; limits.waiting_size - 6]];
    assert!(broker.add(request, &limits).is_ok(), "there is room again");
}

fn frames(input: &mut Input<'_>) -> Frames {
    (0..input.byte() % 12).map(|_| input.bytes().to_vec()).collect()
}

/// The texts that come with connections and recordings.
fn check_texts(data: &[u8]) {
    if let Some(identity) = std::str::from_utf8(data).ok().and_then(ManagerIdentity::from_routing_id) {
        let again = ManagerIdentity::from_routing_id(&identity.to_routing_id());
        assert_eq!(again.map(|again| again.process), Some(identity.process));
        assert!(identity.to_routing_id().len() <= 255);
    }
    let exchange = RecordedExchange {
        at: system::begin(),
        number: 1,
        request: data.to_vec(),
        reply: data.iter().rev().copied().collect(),
    };
    let line = exchange.to_line().expect("a line");
    assert_eq!(RecordedExchange::from_line(&line), Some(exchange));
    if let Some(exchange) = RecordedExchange::from_line(data) {
        let line = exchange.to_line().expect("a line");
        assert_eq!(RecordedExchange::from_line(&line), Some(exchange));
    }
}
