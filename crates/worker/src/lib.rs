//! The agent that runs tasks; it talks to the coordinator only through the client.
