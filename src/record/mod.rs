//! Record set → batch → records, magic 2 only. Borrows from the bytes that came, never re-encodes.
