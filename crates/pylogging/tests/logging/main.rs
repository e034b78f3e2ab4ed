//! Logging as whole processes see it: beside the real Python, with several writers, with a closed console, a
//! full disk, and configurations that change under way.

mod child;
mod processes;
mod python;
