//! The steps of the Dockerfile without a container engine: the image is a folder, and the container a namespace of processes.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use rustix::process::Signal;
use serde_json::Value;

use crate::support::packages;
use crate::support::system::{NOWCAST, System, free_ports, pid, system};

const DOCKERFILE: &str = include_str!("../../Dockerfile");

/// The instructions of the last stage, each with its text.
fn instructions() -> Vec<(String, String)> {
    let text = DOCKERFILE.lines().filter(|line| !line.starts_with('#')).collect::<Vec<_>>().join("\n");
    let text = text.replace("\\\n", " ");
    let all = text.lines().filter_map(|line| line.split_once(' '));
    let all: Vec<_> = all.map(|(name, text)| (name.to_owned(), text.trim().to_owned())).collect();
    let last = all.iter().rposition(|(name, _)| name == "FROM").expect("a stage");
    all[last..].to_vec()
}

/// The text of the only instruction with this name.
fn the(name: &str) -> String {
    let mut found = instructions().into_iter().filter(|(found, _)| found == name);
    let (_, text) = found.next().expect(name);
    assert_eq!(found.next(), None);
    text
}

fn words(json: &str) -> Vec<String> {
    serde_json::from_str(json).expect("a list in the form of JSON")
}

fn run(command: &mut Command) -> Output {
    let output = command.output().expect("it runs");
    assert!(
        output.status.success(),
        "{command:?}: {}",
        String::from_utf8_lossy(&[&output.stdout[..], &output.stderr].concat())
    );
    output
}

/// Make the image, which has the program under test.
fn image() -> PathBuf {
    packages::install("/usr/sbin/debootstrap", &["debootstrap"]);
    let root = Path::new(NOWCAST).ancestors().nth(2).expect("the folder of builds").join("test-image");
    let from = the("FROM");
    let suite = from.strip_prefix("debian:").and_then(|from| from.strip_suffix("-slim")).expect("a Debian");
    // Made once for each Dockerfile.
    let mark = root.join("made-from");
    if fs::read_to_string(&mark).ok().as_deref() != Some(DOCKERFILE) {
        let _ = fs::remove_dir_all(&root);
        run(Command::new("debootstrap").args(["--variant=minbase", suite]).arg(&root));
        fs::copy("/etc/resolv.conf", root.join("etc/resolv.conf")).expect("copied");
        for (_, step) in instructions().iter().filter(|(name, _)| name == "RUN") {
            let mut chroot = Command::new("chroot");
            run(chroot.arg(&root).args(["sh", "-ec", step]).env("PACKAGES", "").env("LC_ALL", "C"));
        }
        fs::create_dir_all(root.join(the("WORKDIR").trim_start_matches('/'))).expect("a folder");
        fs::write(mark, DOCKERFILE).expect("written");
    }
    // An engine makes it for each container.
    fs::write(root.join("etc/hosts"), "127.0.0.1 localhost\n").expect("written");
    let (from, to) =
        the("COPY").rsplit_once(' ').map(|(from, to)| (from.to_owned(), to.to_owned())).expect("two paths");
    assert_eq!(from, "--from=build /src/target/release/nowcast");
    let program = root.join(to.trim_start_matches('/'));
    // An earlier container may still run it.
    let _ = fs::remove_file(&program);
    fs::copy(NOWCAST, program).expect("copied");
    root
}

struct Container {
    system: System,
    root: PathBuf,
    environment: Vec<String>,
    first: Option<u32>,
}

/// `--kill-child` has no effect on a process that has changed its user.
impl Drop for Container {
    fn drop(&mut self) {
        self.first.iter().for_each(|first| _ = rustix::process::kill_process(pid(*first), Signal::KILL));
    }
}

impl Container {
    fn new() -> Self {
        let (manager, workers) = free_ports();
        let system = system().prepare();
        fs::write(
            system.config(),
            format!(
                "zmq: {{ports: {{manager: {manager}, workers: {workers}}}}}\n\
                 message registry: {{workers: {{leave: , sleep: }}}}\n\
                 workers: {{leave: {{command: [sh, -c, 'sleep 0.1 & exit 3']}}}}\n"
            ),
        )
        .expect("written");
        system.write_rules("function after_leave() return {} end\nfunction after_sleep() return {} end\n");
        let volume = system.path("volume");
        fs::create_dir(&volume).expect("a folder");
        // As an engine gives the rights of the image's folder to a new volume.
        let root = image();
        let home = fs::metadata(root.join("var/lib/nowcast")).expect("the folder of the volume");
        std::os::unix::fs::chown(&volume, Some(home.uid()), Some(home.gid())).expect("given away");
        run(Command::new("chmod").args(["-R", "a+rX"]).arg(system.path("")));
        let environment = the("ENV").split_whitespace().map(str::to_owned).collect();
        Self { system, root, environment, first: None }
    }

    /// The words that run a command in the image, as its user.
    fn inside(&self, command: &[String]) -> Vec<String> {
        let mut words =
            vec!["chroot".to_owned(), format!("--userspec={}", the("USER")), self.root.display().to_string()];
        words.extend(
            ["env", "-i", "-C", &the("WORKDIR"), "PATH=/usr/local/bin:/usr/bin:/bin"].map(str::to_owned),
        );
        words.extend(self.environment.iter().cloned());
        words.extend_from_slice(command);
        words
    }

    /// Start the container, and wait until it is healthy; return its first process.
    fn start(&mut self) -> u32 {
        let command = [words(&the("ENTRYPOINT")), words(&the("CMD"))].concat();
        let root = self.root.display();
        let (folder, volume) = (self.system.path(""), self.system.path("volume"));
        let mounts = format!(
            "mount -t proc proc {root}/proc && mount --bind {} {root}{} && mount --bind {} {root}{} && exec \"$@\"",
            folder.display(),
            the("WORKDIR"),
            volume.display(),
            the("VOLUME"),
        );
        let mut unshare = Command::new("unshare");
        unshare.args(["--pid", "--fork", "--kill-child", "--mount", "sh", "-c", &mounts, "sh"]);
        unshare.args(self.inside(&command)).stdin(std::process::Stdio::null());
        let unshare = self.system.spawn("container", unshare);
        let first = self.system.wait_for("the first process", || {
            let children = fs::read_to_string(format!("/proc/{unshare}/task/{unshare}/children")).ok()?;
            children.trim().parse().ok()
        });
        self.first = Some(first);
        let health = the("HEALTHCHECK");
        let (_, health) = health.split_once("CMD ").expect("its command");
        self.system
            .wait_for("its health", || self.execute(first, &words(health)).status.success().then_some(()));
        first
    }

    /// Run a command in the running container.
    fn execute(&self, first: u32, command: &[String]) -> Output {
        let mut nsenter = Command::new("nsenter");
        nsenter.args(["--target", &first.to_string(), "--pid", "--mount", "--"]);
        nsenter.args(self.inside(command)).output().expect("nsenter runs")
    }

    fn nowcast(&self, first: u32, arguments: &str) -> String {
        let command: Vec<String> = format!("nowcast {arguments}").split(' ').map(str::to_owned).collect();
        let output = self.execute(first, &command);
        assert!(output.status.success(), "{arguments}: {output:?}\n{}", self.system.describe());
        String::from_utf8(output.stdout).expect("text")
    }

    fn stop(&mut self, first: u32) {
        assert_eq!(the("STOPSIGNAL"), "SIGTERM");
        rustix::process::kill_process(pid(first), Signal::TERM).expect("it takes the signal");
        let status = self.system.wait_for_end("container");
        assert_eq!(status.code(), Some(0), "{}", self.system.describe());
        self.first = None;
    }
}

/// The children of a process that have ended and were not reaped.
fn zombies(parent: u32) -> Vec<String> {
    let children = fs::read_to_string(format!("/proc/{parent}/task/{parent}/children")).unwrap_or_default();
    let state = |child: &str| fs::read_to_string(format!("/proc/{child}/stat")).unwrap_or_default();
    children.split_whitespace().filter(|child| state(child).contains(") Z ")).map(str::to_owned).collect()
}

#[test]
fn a_system_runs_as_the_first_process_and_its_volume_is_kept() {
    let mut container = Container::new();
    let first = container.start();
    let owner = fs::metadata(format!("/proc/{first}")).expect("the process");
    assert_eq!(owner.uid(), 10_001, "it runs as its own user");
    container.nowcast(first, "launch leave");
    let runs = |container: &Container, first| -> Vec<Value> {
        serde_json::from_str(&container.nowcast(first, "runs --json")).expect("JSON")
    };
    let ended = container.system.wait_for("the end of the run", || {
        let ended = runs(&container, first).pop()?;
        (ended["state"] == "crashed").then_some(ended)
    });
    assert_eq!(ended["exit_status"], 3);
    container.system.wait_for("no zombies", || zombies(first).is_empty().then_some(()));
    container.stop(first);

    let volume = container.system.path("volume");
    let files: BTreeMap<String, u32> = fs::read_dir(&volume)
        .expect("the volume")
        .flatten()
        .map(|file| (file.file_name().to_string_lossy().into_owned(), file.metadata().expect("a file").uid()))
        .collect();
    assert!(
        files.contains_key("nowcast.log") && files.contains_key("nowcast_checklist.journal"),
        "{files:?}"
    );
    assert!(files.values().all(|owner| *owner == 10_001), "{files:?}");

    let first = container.start();
    assert_eq!(runs(&container, first)[0]["number"], ended["number"]);
    container.stop(first);
}

#[test]
fn the_build_has_the_files_that_it_needs() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR"));
    let context = tempfile::tempdir().expect("a folder");
    let ignore = fs::read_to_string(source.join(".dockerignore")).expect("a file");
    for path in ignore.lines().filter_map(|line| line.strip_prefix('!')) {
        let to = context.path().join(path);
        fs::create_dir_all(to.parent().expect("a folder")).expect("a folder");
        symlink(source.join(path), to).expect("a link");
    }
    run(Command::new(env!("CARGO"))
        .args(["metadata", "--offline", "--locked", "--no-deps", "--format-version", "1"])
        .current_dir(context.path()));
    let read = |path: &Path| fs::read_to_string(path).expect("a source file");
    for file in ["src/config/default_settings.rs", "src/rules/vm.rs", "src/cli/init/template.rs"] {
        let included = read(&source.join(file));
        for path in included.split("include_str!(\"").skip(1).filter_map(|rest| rest.split('"').next()) {
            let path = context.path().join(file).with_file_name(path);
            assert!(path.exists(), "{}", path.display());
        }
    }
}
