//! E-mails by SMTP: the one place that makes messages and connections.
//!
//! Each mail has a connection of its own. This module never retries, queues or logs.

use std::fmt;
use std::time::Duration;

use lettre::message::Mailbox;
use lettre::message::header::ContentType;
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Tls, TlsParameters};
use lettre::{Message, SmtpTransport, Transport};

/// A mail server and how to talk to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    /// The name or address.
    pub host: String,
    /// The port.
    pub port: u16,
    /// The encryption of the connection.
    pub security: Security,
    /// The account, if the server asks for one.
    pub login: Option<Login>,
    /// The timeout of each answer.
    pub timeout: Duration,
}

/// How the connection to a mail server is protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Security {
    /// Not at all.
    None,
    /// By STARTTLS if the server has it.
    Opportunistic,
    /// By STARTTLS.
    StartTls,
    /// By TLS from the first byte.
    Tls,
}

/// An account at a mail server.
#[derive(Clone, PartialEq, Eq)]
pub struct Login {
    /// The name.
    pub user: String,
    /// The password.
    pub password: String,
}

impl fmt::Debug for Login {
    /// Without the password.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Login({})", self.user)
    }
}

/// A mail of plain text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mail {
    /// The sender.
    pub from: Mailbox,
    /// The recipients.
    pub to: Vec<Mailbox>,
    /// The subject.
    pub subject: String,
    /// The `Message-ID`, if it is to have one.
    pub id: Option<String>,
    /// The text.
    pub body: String,
}

/// Why a mail was not sent.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    /// The message cannot be made.
    #[error(transparent)]
    Message(lettre::error::Error),
    /// The connection cannot be set up as configured.
    #[error(transparent)]
    Setup(lettre::transport::smtp::Error),
    /// The server or the network refused it.
    #[error(transparent)]
    Delivery(lettre::transport::smtp::Error),
}

impl SendError {
    /// Whether another attempt would fail in the same way.
    #[must_use]
    pub fn is_final(&self) -> bool {
        match self {
            SendError::Message(_) | SendError::Setup(_) => true,
            SendError::Delivery(error) => error.is_permanent(),
        }
    }
}

impl Server {
    /// Send a mail and wait until the server has taken it.
    ///
    /// # Errors
    /// The reason why it was not sent; the causes of the error have the details.
    pub fn send(&self, mail: Mail) -> Result<(), SendError> {
        let message = mail.message().map_err(SendError::Message)?;
        let transport = self.transport().map_err(SendError::Setup)?;
        transport.send(&message).map_err(SendError::Delivery)?;
        Ok(())
    }

    fn transport(&self) -> Result<SmtpTransport, lettre::transport::smtp::Error> {
        let parameters = || TlsParameters::new(self.host.clone());
        let tls = match self.security {
            Security::None => Tls::None,
            // An attacker who can show a false certificate can as well hide STARTTLS.
            Security::Opportunistic => Tls::Opportunistic(
                TlsParameters::builder(self.host.clone()).dangerous_accept_invalid_certs(true).build()?,
            ),
            Security::StartTls => Tls::Required(parameters()?),
            Security::Tls => Tls::Wrapper(parameters()?),
        };
        let mut builder =
            SmtpTransport::builder_dangerous(&self.host).port(self.port).timeout(Some(self.timeout)).tls(tls);
        if let Some(Login { user, password }) = &self.login {
            builder = builder.credentials(Credentials::new(user.clone(), password.clone()));
        }
        Ok(builder.build())
    }
}

impl Mail {
    fn message(self) -> Result<Message, lettre::error::Error> {
        let mut message =
            Message::builder().from(self.from).subject(self.subject).header(ContentType::TEXT_PLAIN);
        if self.id.is_some() {
            message = message.message_id(self.id);
        }
        for to in self.to {
            message = message.to(to);
        }
        message.body(self.body)
    }
}
