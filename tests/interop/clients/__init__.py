"""Other clients, and what they do with a chat server: run in environments of their own."""
