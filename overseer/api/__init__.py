"""The same server by HTTP: each request becomes messages of the protocol, so nothing is decided twice."""
