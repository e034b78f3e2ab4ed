//! Situations that an operator meets.

use jiff::SignedDuration;
use nowcast::launch::LostContact;
use nowcast::store::forecast_file::StoredForecast;
use nowcast_core::hold::HoldTarget;
use nowcast_core::{Command, Cycle, Ending, Event, ExpectedForecast, NextWorker, TimeRange};

use crate::recorded::Recorded;

/// Yesterday everything went well, and today nothing has happened yet but what is expected.
pub fn fine() -> Recorded {
    let mut system = Recorded::new();
    system
        .at("-1 06:00")
        .launches("download_weather", &["00"])
        .at("-1 06:05")
        .finishes("download_weather", "success 00", "{'00': GRIB/20190930/00}")
        .at("-1 06:20")
        .finishes("make_ssh_files", "success", "null")
        .at("-1 06:30")
        .finishes("collect_rivers", "success", "{Fraser: 812.5, Skagit: 210}")
        .at("-1 06:40")
        .finishes("make_plots", "success", "null")
        .at("-1 07:10")
        .finishes("make_forcing", "success", "null")
        .at("-1 08:00")
        .finishes("make_plots", "success", "null")
        .at("-1 10:40")
        .finishes("run_nemo", "success", "{forecast: 2019-10-01}")
        .at("-1 10:50")
        .finishes("make_plots", "success", "null")
        .at("08:00")
        .launches("collect_rivers", &[])
        .at("08:10")
        .finishes("collect_rivers", "success", "{Fraser: 790}")
        .at("08:20")
        .finishes("make_plots", "success", "null");
    system
}

/// Runs failed: one reported it, one was killed without a report, one could not be started, and one is retried.
pub fn failed_runs() -> Recorded {
    let mut system = fine();
    system
        .at("09:00")
        .launches("download_weather", &["12"])
        .at("09:04")
        .says("download_weather", "failure", "null")
        .ends("download_weather", Ending::Status(1))
        .at("09:30")
        .launches("run_nemo", &["hindcast"])
        .at("10:15")
        .ends("run_nemo", Ending::Killed(9))
        .at("10:30")
        .launches("make_ssh_files", &["nowcast"])
        .ends("make_ssh_files", Ending::NotStarted("python3: No such file or directory (os error 2)".into()))
        .at("11:40")
        .launches("make_plots", &["forecast", "2019-10-01"])
        .at("11:50")
        .says("make_plots", "failure", "null")
        .ends("make_plots", Ending::Status(2));
    system
}

/// The same after an operator acknowledged one failure, another of that worker came, and one more was acknowledged.
pub fn acknowledged_runs() -> Recorded {
    let mut system = failed_runs();
    let first = vec![system.run_of("download_weather")];
    system
        .at("11:51")
        .asks(Command::Acknowledge { runs: first, reason: Some("the server is being repaired".into()) });
    let other = vec![system.run_of("make_ssh_files")];
    system
        .asks(Command::Acknowledge { runs: other, reason: None })
        .at("11:55")
        .launches("download_weather", &["12"])
        .at("11:59")
        .says("download_weather", "failure", "null")
        .ends("download_weather", Ending::Status(1));
    system
}

/// A rule failed for one message; for another there is none, others were refused.
pub fn bad_messages() -> Recorded {
    let mut system = fine();
    system
        .at("08:30")
        .asks(Command::ChecklistClear { force: false })
        .at("09:00")
        .launches("collect_rivers", &[])
        .at("09:10")
        .finishes("collect_rivers", "success", "{Skagit: 190}")
        .at("09:20")
        .says("clear_checklist", "success", "null")
        .at("09:21")
        .says("stranger", "success", "null")
        .at("09:22")
        .says("make_plots", "halfway", "null")
        .at("09:23")
        .hears(b"]")
        .at("09:24")
        .says("download_weather", "need", "NEMO run");
    system
}

/// Launches wait in a join, and others in one that no running worker will complete.
pub fn open_joins() -> Recorded {
    let mut system = fine();
    system
        .at("11:43")
        .launches("download_weather", &["00"])
        .finishes("download_weather", "success 00", "null")
        .finishes("make_ssh_files", "success", "null");
    system
}

/// The same when no worker will complete it: an operator has discarded the launch that it waits for.
pub fn stuck_join() -> Recorded {
    let mut system = fine();
    let target = HoldTarget::Worker("collect_rivers".into());
    system
        .at("09:00")
        .asks(Command::Hold { target, until: None, duration: None, reason: None })
        .at("09:10")
        .launches("download_weather", &["00"])
        .finishes("download_weather", "success 00", "null")
        .at("09:20")
        .finishes("make_ssh_files", "success", "null");
    let number = system.pending_run_of("collect_rivers");
    system.at("09:25").asks(Command::Discard { number });
    system
}

/// A join was overdue.
pub fn parked_launches() -> Recorded {
    let mut system = fine();
    system
        .at("08:30")
        .launches("download_weather", &["00"])
        .finishes("download_weather", "success 00", "null")
        .at("08:40")
        .finishes("collect_rivers", "success", "{Fraser: 805}")
        .at("11:45")
        .ends("make_ssh_files", Ending::Status(0))
        .at("11:50");
    system
}

/// The journal was restored from a backup in which launches were pending.
pub fn restored() -> Recorded {
    let mut system = pending_launches();
    let launched_since = vec![system.pending_run_of("make_ssh_files")];
    let file = "/backup/nowcast-Fri.sqlite".to_owned();
    system.at("11:44").asks(Command::Restore { file, is_latest: false, launched_since });
    system
}

/// Launches wait: held, for their time, for another of the same worker.
pub fn pending_launches() -> Recorded {
    let mut system = fine();
    let until = Some(system.moment("16:00"));
    system
        .at("10:00")
        .asks(Command::Hold {
            target: HoldTarget::Host("nibi".into()),
            until: None,
            duration: None,
            reason: Some("maintenance".into()),
        })
        .asks(Command::Hold {
            target: HoldTarget::Worker("make_ssh_files".into()),
            until,
            duration: None,
            reason: None,
        })
        .at("11:30")
        .launches("make_forcing", &[])
        .at("11:43")
        .finishes("make_forcing", "success", "null")
        .launches("make_ssh_files", &["forecast2"])
        .launches("make_plots", &["forecast", "2019-10-01"])
        .launches("make_plots", &["surface currents"]);
    system
}

/// Runs: running, stopping, exited without a report, on a host that cannot be reached.
pub fn running() -> Recorded {
    let mut system = fine();
    system
        .at("11:43")
        .launches("make_forcing", &[])
        .launches("run_nemo", &["forecast"])
        .launches("collect_rivers", &[])
        .launches("make_plots", &["forecast", "2019-10-01"]);
    let run = system.run_of("collect_rivers");
    system.asks(Command::Kill { run });
    let since = system.moment("11:50");
    let contact = LostContact {
        host: "nibi".into(),
        since,
        reason: "exited with status 255".into(),
        asked_at: since + SignedDuration::from_mins(5),
        is_running: false,
        answer: "ssh: connect to host nibi port 22: No route to host".into(),
    };
    system.run_folder(system.run_of("run_nemo")).write_lost_contact(&contact);
    system.at("12:00").ends("make_plots", Ending::Status(0));
    system
}

/// A run takes more than twice as long as 20 like runs did.
pub fn slow() -> Recorded {
    let mut system = Recorded::new();
    for number in 0..20 {
        let begin = 6 * 60 + 10 * number;
        let time = |minutes: i32| format!("-1 {:02}:{:02}", minutes / 60, minutes % 60);
        system.at(&time(begin)).launches("make_plots", &["nowcast", &format!("2019-09-{:02}", 10 + number)]);
        system.at(&time(begin + 6 + number % 3)).finishes("make_plots", "success", "~");
    }
    system.at("11:43").launches("make_plots", &["nowcast", "2019-10-01"]);
    system
}

/// An edit of the rules was refused.
pub fn refused_rules() -> Recorded {
    let mut system = fine();
    let reason =
        "rules/next_workers.lua:17: syntax error: 'end' expected (to close 'function' at line 12) near <eof>";
    system.at("11:00").happens(Event::RulesRefused { reason: reason.into() });
    system
}

/// What is expected by half past eleven has not come.
pub fn late() -> Recorded {
    let mut system = Recorded::new();
    system.at("-1 10:00").launches("collect_rivers", &[]).at("-1 10:05").finishes(
        "collect_rivers",
        "success",
        "{Fraser: 805}",
    );
    system.at("-1 10:15").finishes("make_plots", "success", "null");
    system.at("12:00");
    system
}

/// A message is expected, and late with a probability in percent.
pub fn forecast(late: u8) -> Recorded {
    let mut system = Recorded::new();
    system.at("-1 13:00").launches("collect_rivers", &[]).at("-1 13:05").finishes(
        "collect_rivers",
        "success",
        "{Fraser: 805}",
    );
    system.at("-1 13:20").finishes("make_plots", "success", "~");
    system.at("12:00").happens(Event::Due);
    let tomorrow = |time| system.moment(time) + SignedDuration::from_hours(24);
    let time = TimeRange { p10: tomorrow("11:20"), median: tomorrow("11:42"), p90: tomorrow("12:31") };
    let forecast = ExpectedForecast {
        worker: "collect_rivers".into(),
        r#type: "success".into(),
        cycle: None,
        deadline: tomorrow("11:30"),
        time: Some(time),
        late: Some(late),
    };
    let stored = StoredForecast { at: system.moment("12:00"), expected: vec![forecast] };
    stored.write(&system.root().join("checklist.journal")).expect("a forecast");
    system.happens(Event::Forecast { forecasts: stored.expected });
    system
}

/// Operators have intervened in everything.
pub fn operated() -> Recorded {
    let mut system = fine();
    system
        .at("09:00")
        .asks(Command::ChecklistSet { path: "[rivers, Fraser]".into(), value: "801.5".into() })
        .asks(Command::Send {
            source: "make_forcing".into(),
            r#type: "success".into(),
            payload: "null".into(),
            cycle: None,
        });
    let item = "nowcast.workers.clear_checklist (every day at 09:05)".to_owned();
    let due = system.moment("09:05");
    let worker = NextWorker::new("nowcast.workers.clear_checklist", Vec::new());
    system.at("09:05").asks(Command::LaunchScheduled { item, due, worker });
    system.says("clear_checklist", "clear checklist", "null").finishes("clear_checklist", "success", "null");
    let run = system.run_of("run_nemo");
    system
        .at("09:30")
        .asks(Command::Kill { run })
        .at("09:31")
        .ends("run_nemo", Ending::Killed(15))
        .at("09:50")
        .finishes("make_plots", "success", "null")
        .at("11:43");
    let worker = NextWorker::new("nowcast.workers.run_nemo", vec!["forecast2".into()]);
    system.asks(Command::Launch { worker, rerun_of: Some(run), origin: None });
    system
}

/// Three cycles are done, one failed, one runs, one is held, and one was cancelled.
pub fn cycles() -> Recorded {
    let mut system = fine();
    system.at("08:30");
    for day in ["2019-09-28", "2019-09-29", "2019-09-30"] {
        system
            .launches_in(day, "make_plots", &["day"])
            .finishes("make_plots", "success", "null")
            .launches_in(day, "run_nemo", &["nowcast"])
            .finishes("run_nemo", "success", "null")
            .finishes("make_plots", "success", "null");
    }
    system
        .at("09:00")
        .launches_in("2019-10-01", "download_weather", &["00"])
        .at("09:10")
        .finishes("download_weather", "success 00", "null")
        .at("09:20")
        .finishes("make_ssh_files", "success", "null")
        .at("10:00")
        .launches_in("hindcast-1", "run_nemo", &["hindcast"])
        .at("10:15")
        .ends("run_nemo", Ending::Killed(9));
    let cycle = |label| Cycle::parse(label).expect("a label");
    let target = HoldTarget::Cycle(cycle("hindcast-3"));
    let reason = Some("the disk is full".to_owned());
    system
        .at("10:30")
        .asks(Command::Hold { target, until: None, duration: None, reason })
        .launches_in("hindcast-3", "collect_rivers", &["hindcast"])
        .at("11:43")
        .finishes("collect_rivers", "success", "{Fraser: 790}")
        .launches_in("hindcast-2", "make_ssh_files", &["hindcast"])
        .asks(Command::CancelCycle { cycle: cycle("hindcast-2"), reason: None })
        .at("11:44")
        .finishes("make_plots", "success", "null");
    system
}
