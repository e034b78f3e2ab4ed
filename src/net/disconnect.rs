//! [`disconnect`]: ends one connection of a bound ZeroMQ socket, for which `libzmq` has no function.
//!
//! It never ends a connection to another port, as far as can be known: a descriptor that `libzmq` reported may have been closed since, and
//! have become another file's.

use std::os::fd::RawFd;

use nix::sys::socket::{Shutdown, SockaddrStorage, getsockname, shutdown};

/// End the connection with this descriptor if it was made to this local port. `libzmq` then notices that it has ended, and closes the
/// descriptor.
pub fn disconnect(descriptor: RawFd, port: u16) {
    if local_port(descriptor) == Some(port) {
        // An error means that the connection has ended.
        let _ = shutdown(descriptor, Shutdown::Both);
    }
}

fn local_port(descriptor: RawFd) -> Option<u16> {
    let address: SockaddrStorage = getsockname(descriptor).ok()?;
    let v4 = address.as_sockaddr_in().map(nix::sys::socket::SockaddrIn::port);
    v4.or_else(|| address.as_sockaddr_in6().map(nix::sys::socket::SockaddrIn6::port))
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::net::{TcpListener, TcpStream};
    use std::os::fd::AsRawFd;

    use super::*;

    #[test]
    fn a_connection_is_ended_only_if_it_was_made_to_that_port() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let mut other_end = TcpStream::connect(address).unwrap();
        let (accepted, _) = listener.accept().unwrap();
        assert_eq!(local_port(accepted.as_raw_fd()), Some(address.port()));
        other_end.set_nonblocking(true).unwrap();
        disconnect(accepted.as_raw_fd(), address.port().wrapping_add(1));
        disconnect(other_end.as_raw_fd(), address.port());
        assert!(other_end.read(&mut [0]).is_err(), "it is open, and has nothing to read");
        other_end.set_nonblocking(false).unwrap();
        disconnect(accepted.as_raw_fd(), address.port());
        assert_eq!(other_end.read(&mut [0]).unwrap(), 0);
    }
}
