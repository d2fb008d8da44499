"""What connectors to people's own desks share: safe text, clients' transport, settings."""
