//! What `nowcast forecast` prints.

use std::fs;

use crate::program::assert_snapshot;
use crate::recorded::Recorded;

/// Three days went to their end, the second one slowly; today's model has run for 20 minutes.
fn under_way() -> Recorded {
    let mut system = Recorded::new();
    for (day, label, model) in
        [(-3, "2019-09-28", "17:10"), (-2, "2019-09-29", "18:40"), (-1, "2019-09-30", "17:20")]
    {
        let at = |time: &str| format!("{day} {time}");
        system
            .at(&at("13:00"))
            .launches_in(label, "download_weather", &["00"])
            .at(&at("13:05"))
            .finishes("download_weather", "success 00", "null")
            .at(&at("13:20"))
            .finishes("make_ssh_files", "success", "null")
            .at(&at("13:30"))
            .finishes("collect_rivers", "success", "{Fraser: 812.5}")
            .at(&at("13:40"))
            .finishes("make_plots", "success", "null")
            .at(&at("14:10"))
            .finishes("make_forcing", "success", "null")
            .at(&at("15:00"))
            .finishes("make_plots", "success", "null")
            .at(&at(model))
            .finishes("run_nemo", "success", &format!("{{forecast: {label}}}"))
            .at(&at("19:00"))
            .finishes("make_plots", "success", "null");
    }
    system
        .at("10:30")
        .launches_in("2019-10-01", "download_weather", &["00"])
        .at("10:35")
        .finishes("download_weather", "success 00", "null")
        .at("10:50")
        .finishes("make_ssh_files", "success", "null")
        .at("11:00")
        .finishes("collect_rivers", "success", "{Fraser: 790}")
        .at("11:10")
        .finishes("make_plots", "success", "null")
        .at("11:40")
        .finishes("make_forcing", "success", "null");
    system
}

/// Nine cycles, one every eight hours, with model runs of so many minutes. The scheduler does not run, so a forecast is wrong about it.
fn nine_cycles() -> Recorded {
    let other_entry = "- nowcast.workers.download_weather: {every: day, at: '16:15', cmd line opts: '12'}\n";
    let mut system = Recorded::with((other_entry, ""), "");
    for (number, model) in (0..).zip([170, 180, 240, 175, 165, 190, 172, 185, 200]) {
        let at = |minutes: i32| {
            let minutes = 15 * 60 + number * 8 * 60 + minutes;
            format!("{} {:02}:{:02}", minutes / 1_440 - 3, minutes % 1_440 / 60, minutes % 60)
        };
        system
            .at(&at(0))
            .launches_in(&format!("2019-09-{}", 20 + number), "download_weather", &["00"])
            .at(&at(5))
            .finishes("download_weather", "success 00", "null")
            .at(&at(20))
            .finishes("make_ssh_files", "success", "null")
            .at(&at(30))
            .finishes("collect_rivers", "success", "{Fraser: 812.5}")
            .at(&at(40))
            .finishes("make_plots", "success", "null")
            .at(&at(70))
            .finishes("make_forcing", "success", "null")
            .at(&at(120))
            .finishes("make_plots", "success", "null")
            .at(&at(70 + model))
            .finishes("run_nemo", "success", "null")
            .at(&at(90 + model))
            .finishes("make_plots", "success", "null");
    }
    system
}

fn all(system: &mut Recorded, commands: &[&[&str]]) -> String {
    system.at("12:00");
    commands.iter().map(|arguments| system.run(arguments)).collect::<Vec<_>>().join("\n")
}

#[test]
fn forecast() {
    let mut system = under_way();
    let text = all(
        &mut system,
        &[
            &["forecast", "--runs", "20"],
            &["forecast", "--cycle", "2019-10-01", "--runs", "20"],
            &["forecast", "--until", "13:00", "--runs", "10"],
            &["forecast", "--cycle", "2019-10-01", "--runs", "10", "--seed", "7", "--json"],
            &["forecast", "--cycle", "2019-10-09", "--runs", "20"],
        ],
    );
    assert_snapshot("forecast", &text);
}

#[test]
fn backtest() {
    let text = all(
        &mut nine_cycles(),
        &[
            &["forecast", "--backtest", "4d", "--runs", "20"],
            &["forecast", "--backtest", "4d", "--runs", "20", "--json"],
            &["forecast", "--backtest", "1h"],
        ],
    );
    assert_snapshot("forecast_backtest", &text);
}

#[test]
fn what_if() {
    let mut system = under_way();
    let rules = fs::read_to_string(system.root().join("rules/next_workers.lua")).expect("rules");
    let edited = rules.replace("\"forecast\", \"2019-10-01\"", "\"late\"")
        + "\nfunction after_collect_rivers() error('no rivers') end\n";
    fs::write(system.root().join("edited.lua"), edited).expect("written");
    let text = all(
        &mut system,
        &[
            &["forecast", "--slower", "run_nemo=2h", "--runs", "20"],
            &["forecast", "--slower", "run_nemo=150%", "--runs", "20"],
            &["forecast", "--fail", "run_nemo", "--cycle", "2019-10-01", "--runs", "20"],
            &["forecast", "--hold", "localhost", "--runs", "20"],
            &["forecast", "--rules", "edited.lua", "--runs", "20"],
            &["forecast", "--slower", "make_ssh_files=1h", "--until", "13:00", "--runs", "10", "--json"],
        ],
    );
    assert_snapshot("forecast_what_if", &text);
}

#[test]
fn a_rule_that_fails_is_noted() {
    let mut system = under_way();
    let rules = fs::read_to_string(system.root().join("rules/next_workers.lua")).expect("rules");
    let failing = format!("{rules}\nfunction after_run_nemo() error('no rivers') end\n");
    fs::write(system.root().join("failing.lua"), failing).expect("written");
    let text = all(&mut system, &[&["forecast", "--rules", "failing.lua", "--runs", "20"]]);
    assert_snapshot("forecast_failing_rule", &text);
}

#[test]
fn refusals() {
    let text = all(
        &mut under_way(),
        &[
            &["forecast", "--fail", "run_nmo"],
            &["forecast", "--fail", "run_nemo:success"],
            &["forecast", "--slower", "run_nemo"],
            &["forecast", "--slower", "run_nemo=-1%"],
            &["forecast", "--hold", "nobi"],
            &["forecast", "--rules", "missing.lua"],
            &["forecast", "--at", "2001-01-01"],
            &["forecast", "--at", "soon"],
            &["forecast", "--until", "2099-01-01"],
            &["forecast", "--runs", "0"],
        ],
    );
    assert_snapshot("forecast_refusals", &text);
}
