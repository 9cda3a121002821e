"""The life of a session in a worker: encode, align, infer, publish. Knows no broker."""
