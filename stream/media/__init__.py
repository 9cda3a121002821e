"""From files and bytes to samples, frames and words. Media from strangers is decoded in sandboxed child processes."""
