//! `slack notifications:` as in NEMO_Nowcast.

use std::process::Command;

use crate::support::python;
use crate::support::servers::Server;
use crate::support::system::system;

const SECTION: &str = "slack notifications:
  SLACK_DAILY:
    - sleep
    - awaken
  SLACK_HINDCAST: [awaken]
  SLACK_NOWHERE: [sleep]
  website log url: https://example.org/log/é.log
  website checklist url: https://example.org/checklist.yaml";

/// The post of NEMO_Nowcast for a text.
const POST: &str = "
import sys, requests
requests.post(sys.argv[1], json={'text': '\\n'.join((
    'sleep: success', 'Log: https://example.org/log/é.log', 'Checklist: https://example.org/checklist.yaml'))})
";

#[test]
fn channels_get_the_posts_of_nemo_nowcast() {
    let server = Server::web();
    let system = system()
        .env("SLACK_DAILY", &server.url("/daily"))
        .env("SLACK_HINDCAST", &server.url("/hindcast"))
        .section(SECTION)
        .start();
    for (source, r#type) in [
        ("sleep", "success"),
        // The first two do not reach their rules; no channel wants the third.
        ("sleep", "need"),
        ("sleep", "sucess"),
        ("keyless", "success"),
        ("awaken", "crash"),
    ] {
        system.send(source, r#type, "null");
    }
    server.wait_for(3, || system.describe());
    let reference = Server::web();
    let posted =
        Command::new(python::venv()).args(["-c", POST, &reference.url("/daily")]).status().expect("it runs");
    assert!(posted.success());
    let expected = &reference.kept()[0];
    let kept = server.kept();
    let of = |path: &str| kept.iter().filter(|kept| kept["path"] == path).collect::<Vec<_>>();
    assert_eq!((of("/daily").len(), of("/hindcast").len(), kept.len()), (2, 1, 3), "{kept:#?}");
    for part in ["method", "body"] {
        assert_eq!(of("/daily")[0][part], expected[part]);
    }
    assert_eq!(of("/daily")[0]["headers"]["content-type"], expected["headers"]["content-type"]);
    assert!(
        of("/hindcast")[0]["body"].as_str().expect("a body").starts_with(r#"{"text": "awaken: crash\nLog: "#)
    );
    // NEMO_Nowcast logs this for each message of any worker.
    let missing = "DEBUG [manager] slack notification environment variable not found: SLACK_NOWHERE";
    assert_eq!(system.log("manager").matches(missing).count(), 3, "{}", system.describe());
}
