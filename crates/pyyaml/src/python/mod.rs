//! Values as Python prints them: `repr` and `pprint.pformat`, for log lines that match NEMO_Nowcast's.
//!
//! ```
//! use pyyaml::python;
//!
//! assert_eq!(python::repr("it's"), "\"it's\"");
//! let value = pyyaml::read("{day: 2026-03-14, done: yes}")?;
//! assert_eq!(python::pformat(&value), "{'day': datetime.date(2026, 3, 14), 'done': True}");
//! # Ok::<(), pyyaml::ReadError>(())
//! ```

mod pretty;
mod repr;
mod sorted;

pub use pretty::pformat;
pub use repr::{repr, repr_list, repr_up_to, repr_value};
