//! What is true: states, roles, permissions, tag matching, filters and quotas. Pure functions, no I/O.
