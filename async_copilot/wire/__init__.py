"""Bytes and what they mean: the event stream, the chat form, what an answer adds up to.

The rule of this room: no I/O, no clock, no aiohttp. What stands here can be tested, read
and used with nothing but bytes. A new rule of what servers send or want belongs here.
"""
