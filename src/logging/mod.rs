//! Python's `logging` dictionaries, on the `log` crate.

pub mod level;
pub mod logger;

pub use level::Level;
pub use logger::Logger;
