//! The rules engine: the user's Lua behind [`crate::core::Rules`].
