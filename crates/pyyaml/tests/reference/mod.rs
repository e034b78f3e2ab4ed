//! The real `PyYAML`, and random input for it and for us.

pub mod codec;
pub mod documents;
pub mod meaning;
pub mod python_process;
pub mod values;
