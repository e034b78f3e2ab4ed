//! The real Slurm: each test runs munged, slurmctld and slurmd on this machine.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::Value;
use tempfile::TempDir;

use crate::sshd::Sshd;
use crate::support::packages;
use crate::support::ports::free_port;
use crate::support::system::{System, system};
use crate::support::wait::wait_for;

struct Cluster {
    folder: TempDir,
    daemons: Vec<(&'static str, Child)>,
}

impl Cluster {
    fn start() -> Self {
        packages::install(
            "/usr/sbin/slurmctld",
            &["slurm-wlm", "slurmctld", "slurmd", "slurm-client", "munge"],
        );
        let folder = tempfile::Builder::new().prefix("nowcast-slurm-").tempdir().expect("a folder");
        let path = |name: &str| folder.path().join(name);
        let (here, host) = (folder.path().display(), nowcast::process::machine());
        let host = host.split('.').next().expect("a name");
        let (controller_port, node_port) = (free_port(), free_port());
        let text = format!(
            "ClusterName=test\nSlurmctldHost={host}(127.0.0.1)\nSlurmctldPort={controller_port}\nSlurmdPort={node_port}\n\
             AuthType=auth/munge\nAuthInfo=socket={here}/munge.socket\nCryptoType=crypto/munge\n\
             ProctrackType=proctrack/linuxproc\nTaskPlugin=task/none\nSlurmUser=root\nSlurmdUser=root\n\
             StateSaveLocation={here}/state\nSlurmdSpoolDir={here}/spool\nSlurmctldPidFile={here}/slurmctld.pid\n\
             SlurmdPidFile={here}/slurmd.pid\nMailProg=/bin/true\nKillWait=5\nMessageTimeout=5\nReturnToService=2\n\
             SelectType=select/cons_tres\nSelectTypeParameters=CR_Core\n\
             NodeName={host} NodeAddr=127.0.0.1 CPUs=1 State=UNKNOWN\n\
             PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE State=UP\n"
        );
        fs::write(path("slurm.conf"), text).expect("written");
        fs::write(path("munge.key"), [7_u8; 128]).expect("written");
        let mut mode = fs::metadata(path("munge.key")).expect("a key").permissions();
        std::os::unix::fs::PermissionsExt::set_mode(&mut mode, 0o600);
        fs::set_permissions(path("munge.key"), mode).expect("its mode");
        fs::create_dir(path("state")).expect("a folder");
        fs::create_dir(path("spool")).expect("a folder");
        let mut cluster = Self { folder, daemons: Vec::new() };
        let munge =
            |name: &str| format!("--{name}={here}/munge.{name}", here = cluster.folder.path().display());
        let options = [
            "--foreground".to_owned(),
            "--force".to_owned(),
            format!("--key-file={}", cluster.path("munge.key").display()),
            munge("socket"),
            munge("pid-file"),
            munge("log-file"),
            munge("seed-file"),
        ];
        cluster.spawn("munged", &options.each_ref().map(String::as_str));
        wait_for("munged", || cluster.path("munge.socket").exists().then_some(()), || cluster.describe());
        cluster.spawn("slurmctld", &["-D"]);
        cluster.spawn("slurmd", &["-D"]);
        cluster.wait_until_idle();
        cluster
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn configuration(&self) -> String {
        self.path("slurm.conf").display().to_string()
    }

    fn spawn(&mut self, name: &'static str, options: &[&str]) {
        let log = File::options().create(true).append(true).open(self.path(&format!("{name}.out")));
        let log = log.expect("a log");
        let mut command = Command::new(Path::new("/usr/sbin").join(name));
        command.args(options).env("SLURM_CONF", self.configuration()).stdin(Stdio::null());
        let errors = log.try_clone().expect("a second handle");
        self.daemons.push((name, command.stdout(log).stderr(errors).spawn().expect("it starts")));
    }

    fn wait_until_idle(&self) {
        wait_for(
            "an idle node",
            || self.control("sinfo", &["--noheader", "--format=%t"]).contains("idle").then_some(()),
            || self.describe(),
        );
    }

    /// Return the output of a Slurm command.
    fn control(&self, program: &str, words: &[&str]) -> String {
        let output = Command::new(program).args(words).env("SLURM_CONF", self.configuration()).output();
        String::from_utf8_lossy(&output.expect("it runs").stdout).into_owned()
    }

    fn stop(&mut self, name: &str) {
        let at = self.daemons.iter().position(|(daemon, _)| *daemon == name).expect("a daemon");
        let (_, mut daemon) = self.daemons.remove(at);
        let process = crate::support::system::pid(daemon.id());
        rustix::process::kill_process(process, rustix::process::Signal::TERM).expect("it is told");
        daemon.wait().expect("it ends");
    }

    fn describe(&self) -> String {
        let logs = self.daemons.iter().map(|(name, _)| {
            let log = fs::read(self.path(&format!("{name}.out"))).unwrap_or_default();
            format!("== {name}\n{}\n", String::from_utf8_lossy(&log))
        });
        logs.collect()
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.control("scancel", &["--user=root", "--signal=KILL", "--full"]);
        for (_, daemon) in self.daemons.iter_mut().rev() {
            let _ = daemon.kill();
            let _ = daemon.wait();
        }
    }
}

/// A job that writes a line, waits for the file `go`, and exits with the status in it.
const JOB: &str = "#!/bin/sh
cd \"$(dirname \"$0\")\"
[ \"$2\" = stubborn ] && trap 'echo no' TERM
echo \"the job works with $2\"
echo start >> starts
while [ ! -e go ]; do [ -e nowcast.yaml ] || exit; sleep 0.1; done
exit $(cat go)
";

const RULES: &str = "function after_job(msg) log.info('the rule heard ' .. msg.type) return {} end";

struct Scene {
    system: System,
    // Dropped after the system, which ends its jobs.
    cluster: Cluster,
}

impl Scene {
    fn start(hosts: &str, more: &str, environment: &[(&str, &str)]) -> Self {
        let cluster = Cluster::start();
        let mut system = system()
            .worker("job: {success: it went well, failure: it did not, crash: it crashed}")
            .rules(RULES)
            .section(&format!(
                "{hosts}\nworkers: {{job: {{command: [sh, '{{folder}}/job.sh', '{{run}}']{more}}}}}"
            ))
            .file("job.sh", JOB)
            .env("SLURM_CONF", &cluster.configuration())
            .prepare();
        for (name, value) in environment {
            system.set_env(name, value);
        }
        let here = system.path(".").canonicalize().expect("a folder").display().to_string();
        system.more = system.more.replace("HERE", &here);
        system.write_config();
        system.start_broker();
        system.start_manager(&[]);
        Self { system, cluster }
    }

    fn here(more: &str) -> Self {
        Self::start(
            "hosts: {queue: {launcher: slurm, submit host: localhost, options: [--ntasks=1]}}",
            more,
            &[],
        )
    }

    fn launch(&self, argument: &str) -> String {
        let text = self.system.operate(&["launch", "--json", "--host", "queue", "job", argument]);
        let answer: Value = serde_json::from_str(&text).expect("JSON");
        answer["numbers"][0].to_string()
    }

    fn run(&self, run: &str) -> Value {
        let runs: Value = serde_json::from_str(&self.system.operate(&["runs", "--json"])).expect("JSON");
        let runs = runs.as_array().expect("a list").clone();
        let number = run.parse::<u64>().ok();
        runs.into_iter().find(|found| found["number"].as_u64() == number).unwrap_or_default()
    }

    fn wait_for_end(&self, run: &str) -> String {
        self.wait_for("the run's end", || {
            let found = self.run(run);
            ["succeeded", "failed", "crashed"]
                .contains(&found["state"].as_str()?)
                .then(|| found["ending"].as_str().unwrap_or_default().to_owned())
        })
    }

    fn output(&self, run: &str) -> String {
        let path = self.run(run)["output"].as_str().unwrap_or_default().to_owned();
        fs::read_to_string(path).unwrap_or_default()
    }

    fn wait_for_job(&self, run: &str) {
        self.wait_for("the job", || self.output(run).contains("the job works").then_some(()));
    }

    /// The job's name and state.
    fn jobs(&self) -> String {
        self.cluster.control("squeue", &["--noheader", "--states=all", "--Format=Name:40,State:20"])
    }

    fn job_name(&self) -> String {
        self.jobs().split_whitespace().next().unwrap_or_default().to_owned()
    }

    fn go(&self, status: &str) {
        fs::write(self.system.path("go.new"), status).expect("written");
        fs::rename(self.system.path("go.new"), self.system.path("go")).expect("in place");
    }

    fn heard(&self, r#type: &str) {
        self.system.wait_for_log("manager", &format!("the rule heard {type}"));
        self.system.works();
        let log = self.system.log("manager");
        assert_eq!(log.matches("the rule heard").count(), 1, "{}", self.describe());
    }

    fn wait_for<T>(&self, what: &str, ask: impl FnMut() -> Option<T>) -> T {
        wait_for(what, ask, || self.describe())
    }

    fn describe(&self) -> String {
        format!("{}\n{}\n{}", self.system.describe(), self.cluster.describe(), self.jobs())
    }
}

#[test]
fn a_job_runs_to_its_end_and_its_output_is_the_runs() {
    let scene = Scene::here("");
    let run = scene.launch("it");
    scene.wait_for_job(&run);
    assert!(scene.jobs().starts_with(&format!("nowcast-{run}-")), "{}", scene.jobs());
    scene.system.send("job", "success", "null");
    scene.go("0");
    assert_eq!(scene.wait_for_end(&run), "exited with status 0");
    assert!(scene.output(&run).contains("the job works with it\n"), "{}", scene.output(&run));
    scene.heard("success");
}

#[test]
fn the_exit_status_of_a_job_is_known() {
    let scene = Scene::here("");
    let run = scene.launch("it");
    scene.go("3");
    assert_eq!(scene.wait_for_end(&run), "exited with status 3");
    scene.heard("crash");
}

#[test]
fn a_job_that_slurm_ends_has_the_reason() {
    let scene = Scene::here("");
    let run = scene.launch("it");
    scene.wait_for_job(&run);
    scene.cluster.control("scancel", &[&format!("--name={}", scene.job_name())]);
    assert_eq!(scene.wait_for_end(&run), "ended on its host: Slurm says that its job is CANCELLED");
    scene.system.wait_for_log("manager", "Slurm says that its job is CANCELLED");
    scene.heard("crash");
}

#[test]
fn kill_ends_the_job() {
    let scene = Scene::here("");
    let run = scene.launch("it");
    scene.wait_for_job(&run);
    scene.system.operate(&["kill", &run]);
    assert_eq!(scene.wait_for_end(&run), "ended on its host: Slurm says that its job is CANCELLED");
    assert!(scene.jobs().contains("CANCELLED"), "{}", scene.jobs());
    scene.heard("crash");
}

#[test]
fn a_timeout_kills_a_job_that_ignores_sigterm() {
    let scene = Scene::here(", timeout: 3s");
    let run = scene.launch("stubborn");
    scene.wait_for_job(&run);
    scene.wait_for_end(&run);
    assert_eq!(scene.run(&run)["stop_requested"]["by"], "timeout");
    scene.wait_for("no job", || scene.jobs().contains("CANCELLED").then_some(()));
}

#[test]
fn the_death_of_sbatch_is_not_that_of_the_job() {
    let scene = Scene::here("");
    let run = scene.launch("it");
    scene.wait_for_job(&run);
    let path = PathBuf::from(scene.run(&run)["output"].as_str().expect("a path")).with_file_name("process");
    let process: Value = serde_json::from_slice(&fs::read(path).expect("a process")).expect("JSON");
    let number = u32::try_from(process["pid"].as_u64().expect("a number")).expect("small");
    rustix::process::kill_process(crate::support::system::pid(number), rustix::process::Signal::KILL)
        .expect("killed");
    scene.wait_for("contact lost", || (scene.run(&run)["state"] == "contact_lost").then_some(()));
    scene.go("3");
    assert_eq!(scene.wait_for_end(&run), "exited with status 3");
    scene.heard("crash");
    assert_eq!(fs::read_to_string(scene.system.path("starts")).expect("one"), "start\n");
}

#[test]
fn without_the_controller_nothing_is_started_and_the_system_continues() {
    let mut scene = Scene::here("");
    scene.cluster.stop("slurmctld");
    let run = scene.launch("it");
    scene.system.works();
    let ending = scene.wait_for_end(&run);
    assert!(
        ending.starts_with("could not be started: sbatch: error: Batch job submission failed"),
        "{ending}"
    );
    scene.heard("crash");
}

#[test]
fn a_restarted_controller_knows_how_the_job_ended() {
    let mut scene = Scene::here("");
    let run = scene.launch("it");
    scene.wait_for_job(&run);
    scene.cluster.stop("slurmctld");
    scene.system.works();
    assert_eq!(scene.run(&run)["state"], "running");
    scene.cluster.spawn("slurmctld", &["-D"]);
    scene.wait_for("the job's state", || scene.jobs().contains("RUNNING").then_some(()));
    scene.go("3");
    assert_eq!(scene.wait_for_end(&run), "exited with status 3");
    scene.heard("crash");
}

#[test]
fn a_pending_job_is_cancelled() {
    let scene = Scene::here("");
    let first = scene.launch("first");
    scene.wait_for_job(&first);
    let second = scene.launch("second");
    scene.wait_for("a waiting job", || scene.jobs().contains("PENDING").then_some(()));
    scene.system.operate(&["kill", &second]);
    assert_eq!(scene.wait_for_end(&second), "ended on its host: Slurm says that its job is CANCELLED");
    assert_eq!(scene.run(&first)["state"], "running");
    scene.go("0");
    scene.wait_for_end(&first);
}

#[test]
fn a_job_is_submitted_by_ssh() {
    let mut sshd = Sshd::start(true);
    let hosts = "run: {enabled hosts: {queue: {python: python3, config file: HERE/nowcast.yaml}}}\n\
                 hosts: {queue: {launcher: slurm, submit host: robot}}";
    let scene = Scene::start(hosts, "", &[("PATH", &sshd.search_path())]);
    sshd.set_env("SLURM_CONF", &scene.cluster.configuration());
    let run = scene.launch("it");
    scene.go("3");
    assert_eq!(scene.wait_for_end(&run), "exited with status 3");
    assert!(scene.output(&run).contains("the job works with it\n"), "{}", scene.output(&run));
    scene.heard("crash");
}
