"""Everything that touches aiohttp, sockets or time: requests out, bodies in, clocks, retries.

The rule of this room: it handles bytes, not their meaning. New rules for how connections
are made, kept, timed or closed belong here.
"""
