//! Builds batches for tests.
