"""Clients' connections: sockets and stdio, HTTP and WebSocket, and the outboxes all output leaves through."""
