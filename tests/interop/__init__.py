"""The client against real servers: installed on demand, run on loopback, offline."""
