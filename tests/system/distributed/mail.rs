//! `SMTPHandler` beside Python's own and a real mail server.

use std::fs;
use std::net::TcpListener;
use std::process::Command;

use crate::distributed::scene::Python;
use crate::support::ports::free_ports;
use crate::support::python::venv;
use crate::support::system::{System, system};

/// A real SMTP server: each mail as a JSON list.
const SERVER: &str = r#"
import asyncio, email, email.policy, json, logging, sys, warnings
# A client that goes away is not an error here.
warnings.simplefilter("ignore")
logging.getLogger("mail").setLevel(100)
from aiosmtpd.smtp import SMTP, AuthResult

class Handler:
    async def handle_DATA(self, server, session, envelope):
        mail = email.message_from_bytes(envelope.content, policy=email.policy.default)
        heads = {name: mail[name] for name in ("From", "To", "Subject")}
        assert mail["Date"].datetime is not None
        user = session.auth_data and session.auth_data.login.decode()
        print(json.dumps([envelope.mail_from, envelope.rcpt_tos, heads, mail.get_content(), mail.get_content_type(), user]))
        return "250 taken"

def authenticator(server, session, envelope, mechanism, data):
    return AuthResult(success=data.password == b"secret", handled=False, auth_data=data)

async def main():
    tls = None
    if len(sys.argv) > 2:
        import ssl, trustme
        authority = trustme.CA()
        authority.cert_pem.write_to_path(sys.argv[2])
        tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        authority.issue_cert("localhost").configure_cert(tls)
    make = lambda: SMTP(Handler(), authenticator=authenticator, auth_require_tls=bool(tls), tls_context=tls)
    await asyncio.get_running_loop().create_server(make, "127.0.0.1", int(sys.argv[1]))
    print("ready")
    await asyncio.Event().wait()

asyncio.run(main())
"#;

fn server(port: u16) -> Python {
    started(&[port.to_string()])
}

fn started(arguments: &[String]) -> Python {
    let mut python = Python::start(SERVER, arguments);
    assert_eq!(python.line(), "ready");
    python
}

/// A running system with that mail handler.
fn with_mail(level: &str, port: u16, more: &str) -> System {
    let system = system().prepare();
    let text = fs::read_to_string(system.config()).expect("a configuration");
    let handler = format!(
        "    email: {{class: logging.handlers.SMTPHandler, level: {level}, formatter: simple, mailhost: [127.0.0.1, {port}], \
         fromaddr: salishsea_nowcast@eoas.example, toaddrs: [one@eoas.example, two@eoas.example], \
         subject: 'CRITICAL Message from Größe'{more}}}\n  loggers:"
    );
    let text = text
        .replacen("  loggers:", &handler, 1)
        .replace("[console, nowcast_log]", "[console, nowcast_log, email]");
    let text = text.replace("format: '%(asctime)s ", "format: '");
    fs::write(system.config(), text).expect("written");
    let mut system = system;
    system.start_broker();
    system.start_manager(&[]);
    system
}

/// A worker that crashes, which logs one CRITICAL line.
const CRASH: [&str; 6] = ["exec", "keyless", "nowcast.yaml", "--", "sh", "-c"];

fn crash(system: &System) -> (String, String) {
    let mut arguments = CRASH.to_vec();
    arguments.push("exit 7");
    let output = system.command(&arguments).output().expect("it runs");
    assert_eq!(output.status.code(), Some(0));
    (
        String::from_utf8_lossy(&output.stdout).into_owned(),
        String::from_utf8_lossy(&output.stderr).into_owned(),
    )
}

#[test]
fn a_line_is_the_mail_that_pythons_handler_sends() {
    let (port, _) = free_ports();
    let mut server = server(port);
    let system = with_mail("CRITICAL", port, ", credentials: [nowcast, secret]");
    let (_, stderr) = crash(&system);
    let ours = server.line();
    assert_eq!(stderr, "");
    assert!(ours.contains("CRITICAL [keyless] sh exited with status 7"), "{ours}");

    let script = format!(
        "import logging, logging.handlers\n\
         handler = logging.handlers.SMTPHandler(['127.0.0.1', {port}], 'salishsea_nowcast@eoas.example', \
         ['one@eoas.example', 'two@eoas.example'], 'CRITICAL Message from Größe', credentials=['nowcast', 'secret'])\n\
         handler.setFormatter(logging.Formatter('%(levelname)s [%(name)s] %(message)s'))\n\
         logging.getLogger('keyless').addHandler(handler)\n\
         logging.getLogger('keyless').critical('sh exited with status 7')\n"
    );
    let status = Command::new(venv()).args(["-X", "utf8", "-c", &script]).status().expect("python runs");
    assert!(status.success());
    let read = |line: &str| -> serde_json::Value { serde_json::from_str(line).expect("JSON") };
    let (mut ours, mut theirs) = (read(&ours), read(&server.line()));
    // Python ends the text with an end of line.
    for mail in [&mut ours, &mut theirs] {
        mail[3] = mail[3].as_str().expect("a text").trim_end().into();
    }
    // Address lists are the same with and without a space.
    theirs[2]["To"] = theirs[2]["To"].as_str().expect("a header").replace(",o", ", o").into();
    assert_eq!(ours, theirs);
}

#[test]
fn with_secure_it_is_encrypted_and_an_untrusted_certificate_is_refused() {
    let (port, _) = free_ports();
    let folder = tempfile::tempdir().expect("a folder");
    let authority = folder.path().join("authority.pem").display().to_string();
    let mut server = started(&[port.to_string(), authority.clone()]);
    let mut system = with_mail("CRITICAL", port, ", credentials: [nowcast, secret], secure: []");
    let text = fs::read_to_string(system.config()).expect("a configuration");
    fs::write(system.config(), text.replace("mailhost: [127.0.0.1,", "mailhost: [localhost,"))
        .expect("written");
    let (_, stderr) = crash(&system);
    assert!(stderr.contains("certificate") && stderr.lines().count() == 1, "{stderr}");
    system.set_env("SSL_CERT_FILE", &authority);
    assert_eq!(crash(&system).1, "");
    let mail = server.line();
    assert!(mail.contains("sh exited with status 7") && mail.contains("\"nowcast\"]"), "{mail}");
}

#[test]
fn a_refusing_server_is_complained_of_once_and_stops_nothing() {
    let (port, _) = free_ports();
    let system = with_mail("DEBUG", port, "");
    let (stdout, stderr) = crash(&system);
    assert!(stdout.contains("received message from manager: (ack)"), "{stdout}");
    let place = format!("nowcast: cannot log to the mail server 127.0.0.1 port {port}: ");
    assert_eq!(stderr.matches(&place).count(), 1, "{stderr}");
    assert!(stderr.contains("Connection refused") && stderr.lines().count() == 1, "{stderr}");

    let mut server = server(port);
    let system = with_mail("CRITICAL", port, ", credentials: [nowcast, wrong]");
    let (_, stderr) = crash(&system);
    assert!(stderr.contains("535") && stderr.lines().count() == 1, "{stderr}");
    let system = with_mail("CRITICAL", port, "");
    crash(&system);
    assert!(server.line().contains("sh exited with status 7"), "the first mail that it took");
}

#[test]
fn a_server_that_hangs_delays_no_message() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let system = with_mail("DEBUG", port, ", timeout: 600");
    system.works();
    let (stdout, stderr) = crash(&system);
    assert!(stdout.contains("received message from manager: (ack)"), "{stdout}");
    assert!(stderr.contains("is slow; mails that were not sent: "), "{stderr}");
    system.works();
}
