//! Parts of error messages for people: [`closest`] and [`did_you_mean`] find the known name that a misspelt one means, [`with_causes`]
//! shows an error with its causes in one line, [`cut()`] keeps a text short.
//!
//! This crate writes nothing and knows nothing of its callers.

mod causes;
mod cut;
mod suggest;

pub use causes::with_causes;
pub use cut::cut;
pub use suggest::{closest, did_you_mean, question};
