"""Everything that touches aiohttp, sockets or time: requests out, bodies in, clocks, retries.

The rule of this room: it knows bytes, not what they mean. A new rule of how connections
are made, kept, timed or given up belongs here.
"""
