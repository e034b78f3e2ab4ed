//! Key files, and sockets that encrypt and authenticate with them (CURVE, ZeroMQ RFC 26).
//!
//! The files are certificates as CZMQ and pyzmq write them. This module never decides who may connect.

use std::collections::HashSet;
use std::fs::{self, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use zmq::{CurveKeyPair, Socket};

use crate::config::CurveSettings;
use crate::private_folder;

/// A key, public or secret.
pub type Key = [u8; 32];

/// The folder of the public keys that may connect, in the folder of the keys.
pub const AUTHORIZED: &str = "authorized";

/// The mode of files with a secret key, and of the folder of the keys.
const SECRET_MODE: u32 = 0o600;
const FOLDER_MODE: u32 = 0o700;

/// The programs to which others connect; each kind has a key pair of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CurveServer {
    /// The message broker.
    Broker,
    /// Programs that publish log messages. They share one pair, so that the log aggregator needs to know one key.
    Logging,
}

impl CurveServer {
    /// Return the name of its key files.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            CurveServer::Broker => "broker",
            CurveServer::Logging => "logging",
        }
    }
}

/// Why keys cannot be used or made.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// A file cannot be read or written.
    #[error("the key file {} cannot be {verb}: {error}. `nowcast keys` makes key files; see `security: curve:`", .file.display())]
    File {
        /// Its path.
        file: PathBuf,
        /// `read` or `written`.
        verb: &'static str,
        /// The error of the operating system.
        error: io::Error,
    },
    /// A file has no key.
    #[error("the key file {} has no line `{name} = \"…\"` with a key of 40 characters", .file.display())]
    NoKey {
        /// Its path.
        file: PathBuf,
        /// The name of the key.
        name: &'static str,
    },
    /// Other users can read a secret key.
    #[error("the key file {} can be read by others (mode {mode:03o}): run chmod 600 on it, and make new keys if others may have read it", .file.display())]
    Exposed {
        /// Its path.
        file: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// The secret file of a client is gone.
    #[error(
        "{public} has no secret file {secret}: restore it, or remove {public} to make a new pair of keys",
        public = .public.display(), secret = .secret.display()
    )]
    NoSecret {
        /// The file with the public key.
        public: PathBuf,
        /// The file that is missing.
        secret: PathBuf,
    },
    /// A new key was made, and the old one may still connect.
    #[error(
        "{} still has an earlier key of this client; remove the file, which revokes that key, and run `nowcast keys` again to \
         authorize the new one", .file.display()
    )]
    EarlierKey {
        /// The file.
        file: PathBuf,
    },
    /// A secret key belongs to another user, who can read and change it.
    #[error("the key file {} belongs to another user (uid {owner}): give it to the system's user with chown, or make new keys", .file.display())]
    Foreign {
        /// Its path.
        file: PathBuf,
        /// Its owner.
        owner: u32,
    },
    /// ZeroMQ failed.
    #[error("ZMQError: {0}")]
    Zmq(#[from] zmq::Error),
}

/// Let a socket encrypt, and prove that it connects to the server that it means. Without settings it stays as it is.
///
/// # Errors
/// A key file cannot be used.
pub fn secure_client(
    socket: &Socket,
    settings: Option<&CurveSettings>,
    server: CurveServer,
) -> Result<(), KeyError> {
    let Some(CurveSettings { folder, client }) = settings else { return Ok(()) };
    let own = secret_file(folder, client);
    socket.set_curve_serverkey(&read_key(&public_file(folder, server.name()), PUBLIC)?)?;
    socket.set_curve_publickey(&read_key(&own, PUBLIC)?)?;
    socket.set_curve_secretkey(&read_secret(&own)?)?;
    Ok(())
}

/// Let a socket encrypt the connections that are made to it, and prove which server it is. Without settings it stays as it is. Whether
/// a client is known is not checked by it, but by ZAP.
///
/// # Errors
/// The key file cannot be used.
pub fn secure_server(
    socket: &Socket,
    settings: Option<&CurveSettings>,
    server: CurveServer,
) -> Result<(), KeyError> {
    let Some(settings) = settings else { return Ok(()) };
    socket.set_curve_server(true)?;
    socket.set_curve_secretkey(&read_secret(&secret_file(&settings.folder, server.name()))?)?;
    Ok(())
}

/// Return the names of the clients that may connect, as [`user_name`] has them.
///
/// # Errors
/// The folder or a key file in it cannot be read.
pub fn authorized(settings: &CurveSettings) -> Result<HashSet<String>, KeyError> {
    let folder = settings.folder.join(AUTHORIZED);
    let wrap = |error| KeyError::File { file: folder.clone(), verb: "read", error };
    let mut keys = HashSet::new();
    for file in fs::read_dir(&folder).map_err(wrap)? {
        let path = file.map_err(wrap)?.path();
        if path.extension().is_some_and(|extension| extension == "key") {
            keys.insert(user_name(&read_key(&path, PUBLIC)?));
        }
    }
    Ok(keys)
}

/// Return the name by which messages say from whose connection they came: its key as text.
#[must_use]
pub fn user_name(key: &Key) -> String {
    // The length of a key is a multiple of 4, as it must be.
    zmq::z85_encode(key).unwrap_or_default()
}

/// Make the key files that a folder lacks: those of both servers and of this client, which may connect from then on. Return the files
/// that were made.
///
/// # Errors
/// A file cannot be written, or one that is there does not fit.
pub fn make_keys(settings: &CurveSettings) -> Result<Vec<PathBuf>, KeyError> {
    let CurveSettings { folder, client } = settings;
    let authorized = folder.join(AUTHORIZED);
    let wrap = |error| KeyError::File { file: authorized.clone(), verb: "written", error };
    fs::DirBuilder::new().recursive(true).mode(FOLDER_MODE).create(&authorized).map_err(wrap)?;
    let mut made = Vec::new();
    for name in [CurveServer::Broker.name(), CurveServer::Logging.name(), client] {
        made.extend(make_pair(folder, name)?);
    }
    let (own, secret) = (public_file(folder, client), secret_file(folder, client));
    if !secret.exists() {
        return Err(KeyError::NoSecret { public: own, secret });
    }
    let (file, key) = (public_file(&authorized, client), read_key(&own, PUBLIC)?);
    made.extend(write_new(&file, &certificate(key, None), 0o644)?);
    if read_key(&file, PUBLIC)? != key {
        return Err(KeyError::EarlierKey { file });
    }
    Ok(made)
}

/// Make a key pair unless it is there. The secret file is written first: it has both keys.
fn make_pair(folder: &Path, name: &str) -> Result<Vec<PathBuf>, KeyError> {
    let (public, secret) = (public_file(folder, name), secret_file(folder, name));
    if public.exists() && !secret.exists() {
        // A copy of the folder on another machine has the public key only.
        return Ok(Vec::new());
    }
    if !secret.exists() {
        let pair = CurveKeyPair::new()?;
        write_new(&secret, &certificate(pair.public_key, Some(pair.secret_key)), SECRET_MODE)?;
        write_new(&public, &certificate(pair.public_key, None), 0o644)?;
        return Ok(vec![secret, public]);
    }
    let key = read_key(&secret, PUBLIC)?;
    Ok(write_new(&public, &certificate(key, None), 0o644)?.into_iter().collect())
}

/// Write a file that is not there yet; return its path if it was written.
fn write_new(file: &Path, text: &str, mode: u32) -> Result<Option<PathBuf>, KeyError> {
    let write = || {
        let mut opened = OpenOptions::new().write(true).create_new(true).mode(mode).open(file)?;
        opened.write_all(text.as_bytes())?;
        opened.sync_all()
    };
    match write() {
        Ok(()) => Ok(Some(file.to_owned())),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(None),
        Err(error) => Err(KeyError::File { file: file.to_owned(), verb: "written", error }),
    }
}

/// The names of the keys in a certificate.
const PUBLIC: &str = "public-key";
const SECRET: &str = "secret-key";

fn certificate(public: Key, secret: Option<Key>) -> String {
    let (kind, advice) = match secret {
        None => ("Public", "Give this file to those who connect, or let connect, by this key."),
        Some(_) => ("**Secret**", "Keep this file secret, and keep its mode."),
    };
    let secret = secret.map(|key| format!("    {SECRET} = \"{}\"\n", user_name(&key))).unwrap_or_default();
    format!(
        "#   ZeroMQ CURVE {kind} Certificate\n#   {advice}\n\nmetadata\ncurve\n    {PUBLIC} = \"{}\"\n{secret}",
        user_name(&public)
    )
}

fn public_file(folder: &Path, name: &str) -> PathBuf {
    folder.join(format!("{name}.key"))
}

fn secret_file(folder: &Path, name: &str) -> PathBuf {
    folder.join(format!("{name}.key_secret"))
}

fn read_secret(file: &Path) -> Result<Key, KeyError> {
    let found = fs::metadata(file).map_err(|error| unreadable(file, error))?;
    if private_folder::is_foreign(found.uid()) {
        return Err(KeyError::Foreign { file: file.to_owned(), owner: found.uid() });
    }
    match found.mode() & 0o777 {
        mode if mode & 0o077 != 0 => Err(KeyError::Exposed { file: file.to_owned(), mode }),
        _ => read_key(file, SECRET),
    }
}

/// Read a key of a certificate.
fn read_key(file: &Path, name: &'static str) -> Result<Key, KeyError> {
    let text = fs::read_to_string(file).map_err(|error| unreadable(file, error))?;
    let value = |line: &str| {
        let (key, value) = line.split_once('=')?;
        let value = value.trim().strip_prefix('"')?.strip_suffix('"')?;
        (key.trim() == name).then(|| decode(value)).flatten()
    };
    text.lines().find_map(value).ok_or_else(|| KeyError::NoKey { file: file.to_owned(), name })
}

/// Decode a key. ZeroMQ decodes other characters than those of Z85 as anything.
fn decode(text: &str) -> Option<Key> {
    let key = zmq::z85_decode(text).ok()?.try_into().ok()?;
    (user_name(&key) == text).then_some(key)
}

fn unreadable(file: &Path, error: io::Error) -> KeyError {
    KeyError::File { file: file.to_owned(), verb: "read", error }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn settings(folder: &Path) -> CurveSettings {
        CurveSettings { folder: folder.to_owned(), client: "client".to_owned() }
    }

    #[test]
    fn keys_are_made_once_and_only_their_owner_can_read_the_secret_ones() {
        let parent = tempfile::tempdir().unwrap();
        let settings = settings(&parent.path().join("keys"));
        let made = make_keys(&settings).unwrap();
        assert_eq!(made.len(), 7, "{made:?}");
        for file in made {
            let mode = fs::metadata(&file).unwrap().mode() & 0o777;
            let is_secret = file.extension().unwrap() == "key_secret";
            assert_eq!(mode.trailing_zeros() >= 6, is_secret, "{}: {mode:o}", file.display());
        }
        let keys = authorized(&settings).unwrap();
        let own = secret_file(&settings.folder, "client");
        assert_eq!(keys, HashSet::from([user_name(&read_key(&own, PUBLIC).unwrap())]));
        let secret = read_secret(&own).unwrap();
        assert_eq!(make_keys(&settings).unwrap(), Vec::<PathBuf>::new());
        assert_eq!(read_secret(&own).unwrap(), secret);
        let other = CurveSettings { client: "other".to_owned(), ..settings.clone() };
        assert_eq!(make_keys(&other).unwrap().len(), 3);
        assert_eq!(authorized(&settings).unwrap().len(), 2);
    }

    #[test]
    fn a_client_with_mismatched_files_gets_a_remedy() {
        let folder = tempfile::tempdir().unwrap();
        let settings = settings(folder.path());
        make_keys(&settings).unwrap();
        let (public, secret) = (public_file(folder.path(), "client"), secret_file(folder.path(), "client"));
        fs::remove_file(&secret).unwrap();
        let error = make_keys(&settings).unwrap_err().to_string();
        assert!(
            error.contains("client.key has no secret file ") && error.contains("to make a new pair"),
            "{error}"
        );
        fs::remove_file(&public).unwrap();
        let error = make_keys(&settings).unwrap_err().to_string();
        assert!(error.contains("authorized/client.key still has an earlier key"), "{error}");
        fs::remove_file(public_file(&folder.path().join(AUTHORIZED), "client")).unwrap();
        assert_eq!(make_keys(&settings).unwrap().len(), 1);
        assert_eq!(
            authorized(&settings).unwrap(),
            HashSet::from([user_name(&read_key(&public, PUBLIC).unwrap())])
        );
    }

    #[test]
    fn a_key_file_that_cannot_be_used_says_why() {
        let folder = tempfile::tempdir().unwrap();
        let settings = settings(folder.path());
        let missing = authorized(&settings).unwrap_err().to_string();
        assert!(missing.contains("/authorized cannot be read: No such file"), "{missing}");
        make_keys(&settings).unwrap();
        let own = secret_file(folder.path(), "client");
        fs::set_permissions(&own, fs::Permissions::from_mode(0o640)).unwrap();
        let exposed = read_secret(&own).unwrap_err().to_string();
        assert!(exposed.contains("can be read by others (mode 640): run chmod 600"), "{exposed}");
        for damaged in ["short", &"~".repeat(40), &"0 ".repeat(20)] {
            fs::write(&own, format!("curve\n    secret-key = \"{damaged}\"\n")).unwrap();
            let empty = read_key(&own, SECRET).unwrap_err().to_string();
            assert!(
                empty.contains("has no line `secret-key = \"…\"` with a key of 40 characters"),
                "{empty}"
            );
        }
    }
}
