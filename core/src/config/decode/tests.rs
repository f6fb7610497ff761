//! Fields out of maps, as tables.
