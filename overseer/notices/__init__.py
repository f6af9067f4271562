"""Notices: people and programs are told, through webhooks and programs, of what becomes of tasks."""
