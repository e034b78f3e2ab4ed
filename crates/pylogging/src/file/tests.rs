//! Compares rotation with that of the real Python, and tests files that are moved away or fill up.

use std::collections::BTreeMap;
use std::process::Command;

use super::*;

/// Return every file of a folder with its text.
fn contents(folder: &Path) -> BTreeMap<String, String> {
    fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| {
            (path.file_name().unwrap().to_string_lossy().into_owned(), fs::read_to_string(&path).unwrap())
        })
        .collect()
}

fn rotating(path: &Path, max_bytes: u64, backup_count: u32) -> LogFile {
    LogFile::new(path, Behaviour::Rotate(Rotation { max_bytes, backup_count }))
}

/// Run Python code with `h`, a handler for that file, and `emit`, which logs a text to it.
fn python(path: &Path, handler: &str, code: &str) {
    let script = format!(
        "import logging, logging.handlers as handlers\nh = handlers.{handler}\n\
         def emit(text): h.emit(logging.makeLogRecord(dict(msg=text)))\n{code}"
    );
    let run = Command::new("python3")
        .args(["-c", &script])
        .env("LOG", path)
        .status()
        .expect("python3 is installed");
    assert!(run.success(), "{script}");
}

#[test]
fn files_roll_over_as_pythons_do() {
    let folder_of = |present: &[&str]| {
        let folder = tempfile::tempdir().unwrap();
        for name in present {
            fs::write(folder.path().join(name), format!("was {name}\n")).unwrap();
        }
        folder
    };
    let presents: [&[&str]; 6] = [
        &[],
        &["log"],
        &["log", "log.1"],
        &["log", "log.1", "log.2", "log.3", "log.4"],
        &["log", "log.2", "log.3"],
        &["log.1", "log.3", "log.10"],
    ];
    for present in presents {
        for backup_count in [0, 1, 2, 3, 12] {
            let (theirs, ours) = (folder_of(present), folder_of(present));
            let open =
                format!("RotatingFileHandler(__import__('os').environ['LOG'], backupCount={backup_count})");
            python(
                &theirs.path().join("log"),
                &open,
                "emit('one'); h.doRollover(); emit('two'); h.doRollover()",
            );

            let mut file = rotating(&ours.path().join("log"), 0, backup_count);
            file.open().unwrap();
            file.append("one\n");
            file.roll_over().unwrap();
            file.append("two\n");
            file.roll_over().unwrap();
            assert_eq!(contents(ours.path()), contents(theirs.path()), "{present:?}, {backup_count} kept");
        }
    }
}

#[test]
fn files_roll_over_at_pythons_size() {
    for (max_bytes, backup_count) in [(0, 3), (60, 0), (60, 2), (61, 3), (200, 1)] {
        let (theirs, ours) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let open = format!(
            "RotatingFileHandler(__import__('os').environ['LOG'], maxBytes={max_bytes}, backupCount={backup_count}, encoding='utf-8')"
        );
        python(
            &theirs.path().join("log"),
            &open,
            "for i in range(40): emit(f'Zeile {i} ' + 'ü' * (i % 7) + '\\n' * (i % 3))",
        );

        let mut file = rotating(&ours.path().join("log"), max_bytes, backup_count);
        for i in 0..40 {
            file.append(&format!("Zeile {i} {}{}\n", "ü".repeat(i % 7), "\n".repeat(i % 3)));
        }
        assert_eq!(contents(ours.path()), contents(theirs.path()), "{max_bytes} bytes, {backup_count} kept");
    }
}

#[test]
fn a_watched_file_follows_pythons_rotation() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log");
    let mut watched = LogFile::new(&path, Behaviour::Watch);
    watched.append("before\n");
    python(
        &path,
        "RotatingFileHandler(__import__('os').environ['LOG'], backupCount=2)",
        "emit('rotating'); h.doRollover(); emit('rotated')",
    );
    watched.append("after\n");
    let expected = [("log", "rotated\nafter\n"), ("log.1", "before\nrotating\n")];
    assert_eq!(
        contents(folder.path()),
        expected.map(|(name, text)| (name.to_owned(), text.to_owned())).into()
    );
}

#[test]
fn a_watched_file_that_vanished_is_created_again_and_a_plain_one_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let (watched_path, plain_path) = (folder.path().join("watched"), folder.path().join("plain"));
    let mut watched = LogFile::new(&watched_path, Behaviour::Watch);
    let mut plain = LogFile::new(&plain_path, Behaviour::Stay);
    for file in [&mut watched, &mut plain] {
        file.append("one\n");
    }
    fs::remove_file(&watched_path).unwrap();
    fs::rename(&plain_path, folder.path().join("moved")).unwrap();
    for file in [&mut watched, &mut plain] {
        file.append("two\n");
    }
    assert_eq!(fs::read_to_string(&watched_path).unwrap(), "two\n");
    assert_eq!(fs::read_to_string(folder.path().join("moved")).unwrap(), "one\ntwo\n");
    assert!(!plain_path.exists());
}

#[test]
fn a_moved_file_takes_lines_while_its_folder_is_gone_and_the_new_one_does_later() {
    let folder = tempfile::tempdir().unwrap();
    let (logs, moved) = (folder.path().join("logs"), folder.path().join("moved"));
    fs::create_dir(&logs).unwrap();
    let mut file = LogFile::new(&logs.join("log"), Behaviour::Watch);
    file.append("one\n");
    fs::rename(&logs, &moved).unwrap();
    file.append("two\n");
    assert!(file.astray);
    fs::create_dir(&logs).unwrap();
    file.append("three\n");
    assert!(!file.astray);
    assert_eq!(fs::read_to_string(moved.join("log")).unwrap(), "one\ntwo\n");
    assert_eq!(fs::read_to_string(logs.join("log")).unwrap(), "three\n");
}

#[test]
fn lines_are_counted_while_the_disk_is_full_and_written_when_there_is_room() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log");
    std::os::unix::fs::symlink("/dev/full", &path).unwrap();
    let mut file = LogFile::new(&path, Behaviour::Watch);
    file.append("lost\n");
    file.append("lost too\n");
    assert_eq!(file.complaint.lost(), 2);
    fs::remove_file(&path).unwrap();
    file.append("kept\n");
    assert_eq!(file.complaint.lost(), 0);
    assert_eq!(fs::read_to_string(&path).unwrap(), "kept\n");
}

#[test]
fn a_line_that_was_cut_short_does_not_swallow_the_next() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log");
    let mut file = LogFile::new(&path, Behaviour::Watch);
    file.append("half a li");
    file.torn = true;
    file.append("next\n");
    file.append("last\n");
    assert_eq!(fs::read_to_string(&path).unwrap(), "half a li\nnext\nlast\n");
}

#[test]
fn a_rotation_that_fails_leaves_a_file_that_takes_lines() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log");
    // A folder that is not empty cannot be replaced by a file.
    fs::create_dir_all(folder.path().join("log.1/full")).unwrap();
    let mut file = rotating(&path, 0, 1);
    file.append("one\n");
    assert!(file.roll_over().is_err());
    file.append("two\n");
    assert_eq!(fs::read_to_string(&path).unwrap(), "one\ntwo\n");
}

#[test]
fn paths_are_absolute_as_by_python() {
    let here = std::env::current_dir().unwrap();
    assert_eq!(absolute(Path::new("logs/../log")), here.join("log"));
    assert_eq!(absolute(Path::new("/a/./b/../../../c")), Path::new("/c"));
}

#[test]
fn a_pipe_that_nothing_reads_never_stops_the_program() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("pipe");
    assert!(Command::new("mkfifo").arg(&path).status().unwrap().success());
    let (sender, ended) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let mut log = LogFile::new(&path, Behaviour::Stay);
        let refused = log.open().unwrap_err();
        let reader = OpenOptions::new().read(true).write(true).open(&path).unwrap();
        log.open().unwrap();
        // More than a pipe takes.
        let line = "x".repeat(1_000) + "\n";
        (0..1_000).for_each(|_| log.append(&line));
        sender.send((refused.raw_os_error(), log.complaint.lost())).unwrap();
        drop(reader);
    });
    let (refused, lost) = ended.recv_timeout(Duration::from_secs(60)).expect("it goes on");
    assert_eq!(refused, Some(rustix::io::Errno::NXIO.raw_os_error()));
    assert!((800..1_000).contains(&lost), "{lost}");
}
