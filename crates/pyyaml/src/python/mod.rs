//! Values as Python prints them: `repr` and `pprint.pformat`, for log lines that match NEMO_Nowcast's.

mod pretty;
mod repr;
mod sorted;

pub use pretty::pformat;
pub use repr::{repr, repr_list, repr_up_to, repr_value};
