"""Chains: tasks started by the end of another, as its action's ``then`` says."""
