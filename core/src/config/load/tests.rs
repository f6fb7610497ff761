//! Whole files through the loader.
