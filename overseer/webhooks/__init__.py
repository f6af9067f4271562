"""Requests of other services that start actions: who signed them, what they say, and what follows."""
