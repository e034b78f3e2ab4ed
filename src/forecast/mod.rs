//! What is still to come: the rest of the day, decided ahead of time by the real core and the real rules.
//!
//! The past tells how long runs take and what they report; nothing here is a second engine. The forecast reads. It never launches,
//! writes, or speaks to a manager.

pub mod dates;
pub mod history;
pub mod like;
