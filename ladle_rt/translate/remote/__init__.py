"""Networks that run on servers: KServe v2, the protocol of Triton (extra ``triton``)."""
