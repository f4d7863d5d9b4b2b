"""Servers that other programs talk to: an editor over the Language Server Protocol, an assistant over MCP."""
