//! What crosses the wire: ids, requests, responses, events and error codes. Plain serde, no I/O.
