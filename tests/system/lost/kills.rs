//! `kill -9` at random moments, under load.

use std::fs;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use nowcast::config::Zmq;
use nowcast::worker::client::{Client, ReplyDelay};
use nowcast_core::message::Message;
use rustix::process::Signal;

use crate::lost::load::{PLAIN, WORKERS, acks, counting, expect_all_once};
use crate::support::python;
use crate::support::random::Random;
use crate::support::system::System;
use crate::support::wait::DEADLINE;

/// Kills a daemon and starts another one at once.
fn replace(system: &mut System, name: &str, signal: Signal) {
    system.signal(name, signal);
    system.wait_for_end(name);
    let command = system.command(&[name, "nowcast.yaml"]);
    system.spawn(name, command);
}

/// Starts plain workers, which send until they are stopped.
fn start_plain_workers(system: &mut System) {
    fs::write(system.path("plain.py"), PLAIN).expect("the worker");
    let python = python::venv();
    for worker in 0..WORKERS {
        let mut command = Command::new(&python);
        command.current_dir(system.path("")).arg("plain.py").arg(system.workers_port.to_string());
        command.arg(worker.to_string());
        system.spawn(&format!("w{worker}"), command);
    }
    system.wait_for("every worker's first replies", || (acks(system) > 2 * WORKERS as u64).then_some(()));
}

/// Stops them; how many messages each has sent.
fn stop_plain_workers(system: &mut System) -> Vec<u64> {
    fs::write(system.path("stop"), "").expect("the word to stop");
    (0..WORKERS)
        .map(|worker| {
            let status = system.wait_for_end(&format!("w{worker}"));
            assert!(status.success(), "{}", system.log(&format!("w{worker}")));
            let sent = fs::read_to_string(system.path(&format!("sent.{worker}"))).expect("its number");
            sent.parse().expect("a number")
        })
        .collect()
}

/// The manager under plain workers is replaced so many times.
fn replace_manager(times: u32, signal: Signal) {
    let mut random = Random::new();
    let mut system = counting().start();
    start_plain_workers(&mut system);
    for time in 0..times {
        let enough = acks(&system) + 1 + random.below(4);
        system
            .wait_for(&format!("replies after {time} managers"), || (acks(&system) >= enough).then_some(()));
        random.spin();
        replace(&mut system, "manager", signal);
    }
    let sent = stop_plain_workers(&mut system);
    expect_all_once(&system, &sent);
}

#[test]
fn two_hundred_deaths_of_the_manager_under_plain_workers_lose_and_double_nothing() {
    replace_manager(200, Signal::KILL);
}

#[test]
fn a_manager_that_is_stopped_under_plain_workers_loses_and_doubles_nothing() {
    replace_manager(20, Signal::TERM);
}

/// Manager and broker under our own workers are replaced, so often each and in any order.
fn replace_both(managers: usize, brokers: usize, signal: Signal) {
    let mut random = Random::new();
    let mut system = counting().start();
    let zmq = Zmq {
        host: "localhost".to_owned(),
        workers_port: system.workers_port,
        curve: None,
        message_size: 64_000_000,
        manager_port: system.manager_port,
        bind: None,
    };
    let (stop, acks) = (AtomicBool::new(false), AtomicU64::new(0));
    let sent = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..WORKERS)
            .map(|worker| {
                let (zmq, stop, acks) = (&zmq, &stop, &acks);
                scope.spawn(move || send_until(worker, zmq, stop, acks))
            })
            .collect();
        let mut left = vec!["manager"; managers];
        left.extend(vec!["broker"; brokers]);
        while !left.is_empty() {
            let enough = acks.load(Ordering::Relaxed) + 1 + random.below(4);
            let what = format!("replies with {} deaths to come", left.len());
            system.wait_for(&what, || (acks.load(Ordering::Relaxed) >= enough).then_some(()));
            random.spin();
            let which = usize::try_from(random.below(left.len() as u64)).expect("a small number");
            replace(&mut system, left.swap_remove(which), signal);
        }
        stop.store(true, Ordering::Relaxed);
        workers.into_iter().map(|worker| worker.join().expect("each got its replies")).collect::<Vec<_>>()
    });
    expect_all_once(&system, &sent);
}

/// One of our workers: a message after the other.
fn send_until(worker: usize, zmq: &Zmq, stop: &AtomicBool, acks: &AtomicU64) -> u64 {
    let mut client = Client::connect(zmq).expect("a connection");
    let mut number = 0;
    while !stop.load(Ordering::Relaxed) {
        let payload = pyyaml::read(&format!("{{n: {number}, m{number}: true}}")).expect("YAML");
        client.send(Message::new(format!("w{worker}"), "success", payload)).expect("sent");
        let reply = client.receive(DEADLINE, &mut |delay| {
            assert!(delay == ReplyDelay::SentAgain, "no reply to message {number} of w{worker}");
        });
        assert_eq!(reply.expect("a reply").r#type, "ack");
        acks.fetch_add(1, Ordering::Relaxed);
        number += 1;
    }
    number
}

#[test]
fn two_hundred_deaths_of_the_manager_and_fifty_of_the_broker_under_our_workers_lose_and_double_nothing() {
    replace_both(200, 50, Signal::KILL);
}

#[test]
fn a_broker_and_a_manager_that_are_stopped_under_our_workers_lose_and_double_nothing() {
    replace_both(10, 10, Signal::TERM);
}
