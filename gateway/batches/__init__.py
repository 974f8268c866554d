"""The batch endpoints of OpenAI's API, for servers that have none: files in, every line asked once, files out.

What a line comes to is decided where every request is decided: each is asked through the gateway itself.
"""
