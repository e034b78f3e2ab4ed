//! Log messages on a socket.

mod publishing;
