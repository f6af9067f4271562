"""Notices about tasks to people and programs, through webhooks and programs."""
