//! What the reader makes of documents, good and bad.
