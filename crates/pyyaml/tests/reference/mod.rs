//! The real `PyYAML`, and random input for it and for us.

pub mod codec;
pub mod documents;
pub mod meaning;
pub mod process;
pub mod values;
