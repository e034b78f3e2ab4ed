//! What there is to see of a system, gathered from its journal, its control socket and the files by which daemons show
//! that they run: the one model behind every surface. It renders nothing.

pub mod attention;
pub mod daemons;
pub mod entries;
pub mod look;
pub mod system;
pub mod times;
