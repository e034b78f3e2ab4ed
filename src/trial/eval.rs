//! One call of a rule from a case, as programs give and take it.
