//! The codec as a whole: tables of messages, and properties over all of them.
