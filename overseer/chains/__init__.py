"""Chains: what is started because a task is over, as its action's ``then`` says."""
