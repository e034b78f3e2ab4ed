//! What `nowcast keys` prints of keys that it makes, finds and refuses.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;

use crate::program::{assert_snapshot, redacted, transcript};
use crate::support::system::{System, system};

fn all(system: &System, commands: &[&[&str]]) -> String {
    let text: String =
        commands.iter().map(|arguments| transcript(system.command(arguments)) + "\n").collect();
    redacted(system, &text)
}

#[test]
fn made_and_found() {
    let system = system().prepare();
    let mut text = all(&system, &[&["keys"], &["keys"], &["keys", "--client", "robot", "--json"]]);
    let config = fs::read_to_string(system.config()).expect("readable");
    let curve = "security: {curve: {keys: keys, client: robot}}\n";
    fs::write(system.config(), format!("{config}{curve}")).expect("written");
    text += &all(&system, &[&["keys"], &["keys", "--json"]]);
    assert_snapshot("keys", &text);
}

#[test]
fn refused() {
    let system = system().section("security: {curve: {keys: keys}}").prepare();
    let mut text = all(
        &system,
        &[
            &["keys", "--client", "a b"],
            &["keys", "--client", ".robot"],
            &["keys", "--client", "broker"],
            &["keys", "-c", "nowhere.yaml"],
            &["broker"],
        ],
    );
    system.operate(&["keys"]);
    let keys = system.path("keys");
    fs::remove_file(keys.join("client.key_secret")).expect("removed");
    text += &all(&system, &[&["keys"]]);
    fs::remove_file(keys.join("client.key")).expect("removed");
    text += &all(&system, &[&["keys"]]);
    fs::write(keys.join("broker.key_secret"), "curve\n").expect("written");
    text += &all(&system, &[&["keys"]]);
    fs::set_permissions(keys.join("broker.key_secret"), Permissions::from_mode(0o644)).expect("its mode");
    text += &all(&system, &[&["broker"]]);
    fs::remove_dir_all(&keys).expect("removed");
    fs::write(&keys, "").expect("written");
    text += &all(&system, &[&["keys"]]);
    assert_snapshot("keys_refused", &text);
}
