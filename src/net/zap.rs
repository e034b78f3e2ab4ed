//! [`Zap`]: asks, for each connection to a socket that has a domain, whether it is admitted (ZAP 1.0, ZeroMQ RFC 27).
//!
//! It never decides that. Found by experiments with `libzmq`:
//! - A request knows the other end's address, and nothing else of it: the routing id in it is the bound socket's own.
//! - Without a reply, and with status 300, the connection stays in its handshake until `ZMQ_HANDSHAKE_IVL` ends it. The other end then
//!   connects again and keeps what it has to send. Status 400 is final: a `libzmq` client that receives it never connects again.
//! - Connections of ZMTP 1 and 2 (ZeroMQ before 4.0, of 2013) are refused by `libzmq` itself.

use zmq::{Context, POLLIN, PollItem, Socket, SocketType};

use super::curve::{Key, user_name};
use super::socket;

/// The address that `libzmq` connects to in its own context.
const ENDPOINT: &str = "inproc://zeromq.zap.01";

/// The version of the protocol.
const VERSION: &[u8] = b"1.0";

/// The socket that receives the requests. A context can have one.
pub struct Zap {
    socket: Socket,
}

/// A connection that waits to be admitted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ZapRequest {
    /// The routing id of the connection's session.
    session: Vec<u8>,
    number: Vec<u8>,
    /// The domain of the socket to which it was made.
    pub domain: String,
    /// The IP address of the other end.
    pub address: String,
    /// Its public key, if the socket encrypts.
    pub key: Option<Key>,
}

impl Zap {
    /// Start to receive requests. Sockets that are bound before are not asked for.
    ///
    /// # Errors
    /// When ZeroMQ has no more sockets, or the context has another one of this kind.
    pub fn bind(context: &Context) -> zmq::Result<Self> {
        let socket = context.socket(SocketType::ROUTER)?;
        socket.set_sndhwm(0)?;
        socket.set_rcvhwm(0)?;
        socket.set_linger(0)?;
        socket.set_router_mandatory(true)?;
        socket.bind(ENDPOINT)?;
        Ok(Self { socket })
    }

    /// Receive the next request, if there is one.
    ///
    /// # Errors
    /// When the socket is broken.
    pub fn receive(&self) -> zmq::Result<Option<ZapRequest>> {
        while let Some(frames) = socket::receive(&self.socket)? {
            // The session, an empty frame, version, request, domain, address, routing id, mechanism, credentials.
            if let [session, _, _, number, domain, address, _, _, credentials @ ..] = frames.as_slice() {
                return Ok(Some(ZapRequest {
                    session: session.clone(),
                    number: number.clone(),
                    domain: String::from_utf8_lossy(domain).into_owned(),
                    address: String::from_utf8_lossy(address).into_owned(),
                    key: credentials.first().and_then(|key| key.as_slice().try_into().ok()),
                }));
            }
        }
        Ok(None)
    }

    /// Admit a connection. Return false if it has ended meanwhile, as far as that is known.
    ///
    /// # Errors
    /// When the socket is broken.
    pub fn admit(&self, request: &ZapRequest) -> zmq::Result<bool> {
        let user = request.key.as_ref().map(user_name).unwrap_or_default();
        self.admit_as(request, &user)
    }

    /// Admit a connection, and give its messages this name of a user. Return false if it has ended meanwhile, as far as that is known.
    ///
    /// # Errors
    /// When the socket is broken.
    pub fn admit_as(&self, request: &ZapRequest, user: &str) -> zmq::Result<bool> {
        self.reply(request, b"200", user)
    }

    /// Refuse a connection for now. Return false if it has ended meanwhile, as far as that is known.
    ///
    /// # Errors
    /// When the socket is broken.
    pub fn refuse(&self, request: &ZapRequest) -> zmq::Result<bool> {
        self.reply(request, b"300", "")
    }

    /// Reject a connection permanently. Return false if it has ended meanwhile, as far as that is known.
    ///
    /// # Errors
    /// When the socket is broken.
    pub fn reject(&self, request: &ZapRequest) -> zmq::Result<bool> {
        self.reply(request, b"400", "")
    }

    fn reply(&self, request: &ZapRequest, status: &[u8], user: &str) -> zmq::Result<bool> {
        // Status, its text, a user's name, metadata. Each message of the connection has the name.
        let reply: [&[u8]; 8] =
            [&request.session, b"", VERSION, &request.number, status, b"", user.as_bytes(), b""];
        match socket::send(&self.socket, &reply) {
            Err(zmq::Error::EHOSTUNREACH) => Ok(false),
            sent => sent,
        }
    }

    /// Return the poll item of the socket itself.
    #[must_use]
    pub fn as_socket_item(&self) -> PollItem<'_> {
        self.socket.as_poll_item(POLLIN)
    }

    /// Return the poll item with which a loop waits for a request. It is cheaper than one of the socket itself, since requests are
    /// rare, but it must not be trusted after [`Self::admit`]: that may have read the signal of a request which has come.
    ///
    /// # Errors
    /// When the socket is broken.
    pub fn as_poll_item(&self) -> zmq::Result<PollItem<'_>> {
        Ok(PollItem::from_fd(self.socket.get_fd()?, POLLIN))
    }
}
