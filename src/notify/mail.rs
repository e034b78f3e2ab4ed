//! E-mails. Each attempt opens its own connection and keeps the mail's id, so that duplicates can be recognised.

use std::time::Duration;

use super::delivery::Delivery;
use super::lane::{Failure, Send};
use crate::config::notify::Email;
use crate::net::redaction::Redaction;
use error_text::with_causes;
use pylogging::smtp::{Login, Mail, Server};

/// The timeout for each response of the mail server.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Return a function that sends an e-mail for each delivery.
pub(super) fn sender(email: &Email) -> Send {
    let email = email.clone();
    let server = server(&email);
    let mut redaction = Redaction::default();
    if let Some((_, password)) = &email.login {
        redaction.hide_also(&password.0);
    }
    Box::new(move |delivery| {
        let sent = server.send(mail(&email, delivery)).map_err(|error| Failure {
            text: redaction.hide(&with_causes(&error)),
            is_final: error.is_final(),
            wait: None,
        });
        sent.map(|()| "the mail server has accepted it".to_owned())
    })
}

fn mail(email: &Email, delivery: &Delivery) -> Mail {
    let domain = email.from.email.domain();
    Mail {
        from: email.from.clone(),
        to: email.to.clone(),
        subject: delivery.subject.clone(),
        id: Some(format!("<{}@{domain}>", delivery.id)),
        body: delivery.body.clone(),
    }
}

fn server(email: &Email) -> Server {
    let login = email.login.as_ref();
    Server {
        host: email.server.clone(),
        port: email.port,
        security: email.security,
        login: login.map(|(user, password)| Login { user: user.0.clone(), password: password.0.clone() }),
        timeout: TIMEOUT,
    }
}
