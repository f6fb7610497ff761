//! The rules as tables of documents.
