//! Files that are not for us.
