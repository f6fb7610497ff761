//! The value grammar as tables.
