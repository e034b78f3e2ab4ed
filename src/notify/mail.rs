//! E-mails. Each attempt makes a connection of its own; the mail's id stays the same, so that one that comes twice can be
//! known by it.

use std::time::Duration;

use lettre::message::header::ContentType;
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Tls, TlsParameters};
use lettre::{Message, SmtpTransport, Transport};

use super::delivery::Delivery;
use super::lane::{Failure, Send};
use crate::causes::with_causes;
use crate::config::notify::{Email, Security};

/// How long the mail server may take for each of its answers.
const PATIENCE: Duration = Duration::from_secs(10);

/// Sends a mail for each delivery.
pub(super) fn sender(email: &Email) -> Send {
    let email = email.clone();
    Box::new(move |delivery| {
        let failed = |error: &dyn std::error::Error, is_final| Failure {
            text: with_causes(error),
            is_final,
            wait: None,
        };
        let mail = mail(&email, delivery).map_err(|error| failed(&error, true))?;
        let transport = transport(&email).map_err(|error| failed(&error, true))?;
        transport.send(&mail).map(|_| ()).map_err(|error| failed(&error, error.is_permanent()))
    })
}

fn mail(email: &Email, delivery: &Delivery) -> Result<Message, lettre::error::Error> {
    let domain = email.from.email.domain();
    let mut mail = Message::builder()
        .from(email.from.clone())
        .subject(&delivery.subject)
        .message_id(Some(format!("<{}@{domain}>", delivery.id)))
        .header(ContentType::TEXT_PLAIN);
    for to in &email.to {
        mail = mail.to(to.clone());
    }
    mail.body(delivery.body.clone())
}

fn transport(email: &Email) -> Result<SmtpTransport, lettre::transport::smtp::Error> {
    let parameters = || TlsParameters::new(email.server.clone());
    let tls = match email.security {
        Security::None => Tls::None,
        // Whoever could show a false certificate could as well show no TLS at all.
        Security::Opportunistic => Tls::Opportunistic(
            TlsParameters::builder(email.server.clone()).dangerous_accept_invalid_certs(true).build()?,
        ),
        Security::StartTls => Tls::Required(parameters()?),
        Security::Tls => Tls::Wrapper(parameters()?),
    };
    let mut builder =
        SmtpTransport::builder_dangerous(&email.server).port(email.port).timeout(Some(PATIENCE)).tls(tls);
    if let Some((user, password)) = &email.login {
        builder = builder.credentials(Credentials::new(user.0.clone(), password.0.clone()));
    }
    Ok(builder.build())
}
