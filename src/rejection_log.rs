//! rejection_log
