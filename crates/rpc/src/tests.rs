//! Methods over a real chain, without and with a socket.
