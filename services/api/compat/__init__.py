"""The shapes of OpenAI's and ElevenLabs' speech APIs, laid over this gateway's own use cases.

What is the vendors' alone lives here: whose API a request speaks (``vendors``), its error bodies
(``envelopes``) and headers (``headers``), names of voices and models (``names``), output formats
(``formats``). The routes are in ``services.api.resources`` as all others are.
"""
