//! Empty: the examples share nothing, but Cargo wants a library beside them.
