"""The protocols without a socket: bodies out; replies, deltas and failures in."""
