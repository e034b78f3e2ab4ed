//! E-mails by SMTP: the only module that creates messages and connections.
//!
//! Each mail has a connection of its own. This module never retries, queues or logs.

use std::fmt;
use std::time::Duration;

use lettre::message::Mailbox;
use lettre::message::header::ContentType;
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Tls, TlsParameters};
use lettre::{Message, SmtpTransport, Transport};

/// A mail server and the way to connect to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    /// The name or address.
    pub host: String,
    /// The port.
    pub port: u16,
    /// The encryption of the connection.
    pub security: Security,
    /// The account, if the server needs one.
    pub login: Option<Login>,
    /// The timeout for each response.
    pub timeout: Duration,
}

/// The protection of the connection to a mail server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Security {
    /// No protection.
    None,
    /// STARTTLS if the server supports it.
    Opportunistic,
    /// STARTTLS.
    StartTls,
    /// TLS from the first byte.
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
    /// Format the account without the password.
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
    /// The `Message-ID`; `None` to send none.
    pub id: Option<String>,
    /// The text.
    pub body: String,
}

/// The reason why a mail was not sent.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    /// The message cannot be created.
    #[error(transparent)]
    Message(lettre::error::Error),
    /// The connection cannot be set up as configured.
    #[error(transparent)]
    Setup(lettre::transport::smtp::Error),
    /// The server or the network refused the mail.
    #[error(transparent)]
    Delivery(lettre::transport::smtp::Error),
}

impl SendError {
    /// Return whether another attempt would fail in the same way.
    #[must_use]
    pub fn is_final(&self) -> bool {
        match self {
            SendError::Message(_) | SendError::Setup(_) => true,
            SendError::Delivery(error) => error.is_permanent(),
        }
    }
}

impl Server {
    /// Send a mail and wait until the server has accepted it.
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
            // An attacker who can show a false certificate can also hide STARTTLS.
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
