"""Files and bytes to samples, frames and words. Untrusted decoding happens in sandboxed child processes."""
